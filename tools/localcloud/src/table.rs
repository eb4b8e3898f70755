//! DynamoDB in the process: dynoxide on SQLite, in memory or in a file; behind the fault layer where there is one.

use std::net::SocketAddr;
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
    /// Where the store itself listens, behind the fault layer.
    pub store: SocketAddr,
    /// The layer in front goes first: it holds the connections that the store would wait for.
    _stop_front: Option<oneshot::Sender<()>>,
    _stop: oneshot::Sender<()>,
}

/// Starts the store on a free port of 127.0.0.1. Without a file it lives in memory.
pub(crate) async fn start(file: Option<&Path>, faults: Option<&Faults>) -> Result<TableServer, LocalError> {
    let database = match file {
        Some(file) => Database::new(&file.to_string_lossy()),
        None => Database::memory(),
    };
    let database = database.map_err(LocalError::Table)?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(LocalError::Listen)?;
    let store = listener.local_addr().map_err(LocalError::Listen)?;
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(async move {
        let serve = dynoxide::server::serve_with_shutdown(listener, database, async {
            let _ = stopped.await;
        });
        if let Err(error) = serve.await {
            tracing::error!(%error, "the local table store stopped");
        }
    });
    let (address, stop_front) = match faults {
        Some(faults) => in_front_of(store, faults).await?,
        None => (store, None),
    };
    Ok(TableServer {
        endpoint: format!("http://{address}"),
        store,
        _stop_front: stop_front,
        _stop: stop,
    })
}

/// Puts the fault layer in front of the store: where it listens, and what stops it.
async fn in_front_of(
    store: SocketAddr,
    faults: &Faults,
) -> Result<(SocketAddr, Option<oneshot::Sender<()>>), LocalError> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(LocalError::Listen)?;
    let address = listener.local_addr().map_err(LocalError::Listen)?;
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(faults::serve(
        listener,
        Backend::Upstream(store),
        faults.clone(),
        stopped,
    ));
    Ok((address, Some(stop)))
}
