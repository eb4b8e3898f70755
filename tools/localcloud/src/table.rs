//! DynamoDB in the process: dynoxide on SQLite, in memory or in a file.

use std::path::Path;

use dynoxide::Database;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::error::LocalError;

/// A running table store; it stops when this is dropped.
#[derive(Debug)]
pub(crate) struct TableServer {
    pub endpoint: String,
    _stop: oneshot::Sender<()>,
}

/// Starts the store on a free port of 127.0.0.1. Without a file it lives in memory.
pub(crate) async fn start(file: Option<&Path>) -> Result<TableServer, LocalError> {
    let database = match file {
        Some(file) => Database::new(&file.to_string_lossy()),
        None => Database::memory(),
    };
    let database = database.map_err(|error| LocalError::Table(error.to_string()))?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(LocalError::Listen)?;
    let endpoint = format!("http://{}", listener.local_addr().map_err(LocalError::Listen)?);
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(async move {
        let serve = dynoxide::server::serve_with_shutdown(listener, database, async {
            let _ = stopped.await;
        });
        if let Err(error) = serve.await {
            tracing::error!(%error, "the local table store stopped");
        }
    });
    Ok(TableServer { endpoint, _stop: stop })
}
