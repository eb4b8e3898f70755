//! A cloud with a deployment in it, for the tests that call its services.

use localcloud::{LocalCloud, LocalConfig, Names};

pub(crate) struct Bench {
    pub(crate) cloud: LocalCloud,
    pub(crate) names: Names,
    _folder: tempfile::TempDir,
}

impl Bench {
    /// With one shard.
    pub(crate) async fn new(config: impl FnOnce(LocalConfig) -> LocalConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cloud = LocalCloud::start(config(LocalConfig::new(folder.path())))
            .await
            .unwrap();
        let names = Names {
            shards: 1,
            ..Names::default()
        };
        cloud.provision(&names).await.unwrap();
        Self {
            cloud,
            names,
            _folder: folder,
        }
    }
}
