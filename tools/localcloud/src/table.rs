//! DynamoDB in the process: dynoxide on SQLite, in memory or in a file, behind the fault layer.

use std::path::Path;

use dynoxide::Database;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::error::LocalError;
use crate::faults::{self, Backend, Faults};

/// A running table store; it stops when this is dropped.
#[derive(Debug)]
pub(crate) struct TableServer {
    pub endpoint: String,
    /// The layer in front goes first: it holds the connections that the store would wait for.
    _stop_front: oneshot::Sender<()>,
    _stop: oneshot::Sender<()>,
}

/// Starts the store on a free port of 127.0.0.1. Without a file it lives in memory.
pub(crate) async fn start(file: Option<&Path>, faults: &Faults) -> Result<TableServer, LocalError> {
    let database = match file {
        Some(file) => Database::new(&file.to_string_lossy()),
        None => Database::memory(),
    };
    let database = database.map_err(|error| LocalError::Table(error.to_string()))?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(LocalError::Listen)?;
    let behind = Backend::Upstream(listener.local_addr().map_err(LocalError::Listen)?);
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(async move {
        let serve = dynoxide::server::serve_with_shutdown(listener, database, async {
            let _ = stopped.await;
        });
        if let Err(error) = serve.await {
            tracing::error!(%error, "the local table store stopped");
        }
    });
    let front = TcpListener::bind(("127.0.0.1", 0)).await.map_err(LocalError::Listen)?;
    let endpoint = format!("http://{}", front.local_addr().map_err(LocalError::Listen)?);
    let (stop_front, front_stopped) = oneshot::channel::<()>();
    tokio::spawn(faults::serve(front, behind, faults.clone(), front_stopped));
    Ok(TableServer {
        endpoint,
        _stop_front: stop_front,
        _stop: stop,
    })
}
