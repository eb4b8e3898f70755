//! The page that `local up` serves on loopback: the same picture as `tidemark watch`, and a card's timeline.

mod card;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Path, Request, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use operate::explain::Stored;
use operate::watch::sample::Sampler;
use operate::watch::view;
use operate::watch::watcher::Picture;
use serde_json::json;
use terminal::clock::{now_ms, pause};
use terminal::error::{CliError, Exit};
use tidemark_aws::admin::Admin;
use tidemark_domain::policy::Policy;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Time between two looks at the streams, ms.
const LOOK_EVERY_MS: u64 = 1_000;
/// Nothing but the page's own script and style runs on it, whatever a card is called.
const CONTENT_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What the handlers share.
struct Shared {
    admin: Admin,
    table: String,
    policy: Policy,
    picture: Mutex<Picture>,
}

/// A running page. It stops when this is dropped.
#[derive(Debug)]
pub struct WebPage {
    address: SocketAddr,
    tasks: [JoinHandle<()>; 2],
}

impl WebPage {
    /// Serves the page on a port of 127.0.0.1 (0: a free one).
    ///
    /// # Errors
    /// When the port is taken.
    pub async fn start(
        port: u16,
        admin: Admin,
        sampler: Sampler,
        table: &str,
        policy: Policy,
    ) -> Result<Self, CliError> {
        let taken = |e: std::io::Error| {
            let what = format!("port {port} of 127.0.0.1 can't be listened on: {e}");
            CliError::machine("page_port", what, "Give another --page-port, or 0 for a free one.")
        };
        let listener = TcpListener::bind(("127.0.0.1", port)).await.map_err(taken)?;
        let address = listener.local_addr().map_err(taken)?;
        let shared = Arc::new(Shared {
            admin,
            table: table.to_owned(),
            policy,
            picture: Mutex::default(),
        });
        let app = routes(shared.clone());
        let serve = tokio::spawn(async move {
            // It ends with the process or when the page is dropped.
            drop(axum::serve(listener, app).await);
        });
        let look = tokio::spawn(look(shared, sampler));
        Ok(Self {
            address,
            tasks: [serve, look],
        })
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }
}

impl Drop for WebPage {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn look(shared: Arc<Shared>, mut sampler: Sampler) {
    loop {
        let picture = sampler.look(now_ms()).await;
        *shared.picture.lock().unwrap_or_else(PoisonError::into_inner) = picture;
        pause(LOOK_EVERY_MS).await;
    }
}

fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(|| async { asset(include_str!("web/page.html"), "text/html") }))
        .route(
            "/page.js",
            get(|| async { asset(include_str!("web/page.js"), "text/javascript") }),
        )
        .route(
            "/page.css",
            get(|| async { asset(include_str!("web/page.css"), "text/css") }),
        )
        .route("/api/snapshot", get(picture))
        .route("/api/cards/{card}", get(card_timeline))
        .layer(middleware::from_fn(loopback_only))
        .with_state(shared)
}

/// Turns away what names another host: a page of some other site must not read cards in this machine's browser.
async fn loopback_only(request: Request, next: Next) -> Response {
    if localcloud::loopback::is_named(request.headers()) {
        return next.run(request).await;
    }
    let words = "This page answers to localhost, 127.0.0.1 and [::1] only.\n";
    (StatusCode::MISDIRECTED_REQUEST, words).into_response()
}

fn asset(text: &'static str, kind: &str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, format!("{kind}; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, CONTENT_POLICY.to_owned()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (HeaderName::from_static("x-content-type-options"), "nosniff".to_owned()),
    ];
    (headers, text).into_response()
}

async fn picture(State(shared): State<Arc<Shared>>) -> Response {
    let picture = shared.picture.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let (word, _, why) = view::health(&picture);
    Json(json!({ "verdict": word, "why": why, "degraded_share": picture.degraded_share(), "snapshot": picture }))
        .into_response()
}

async fn card_timeline(State(shared): State<Arc<Shared>>, Path(card): Path<String>) -> Response {
    match Stored::read(&shared.admin, &shared.table, &card).await {
        Ok(stored) => Json(card::timeline(&stored, &shared.policy)).into_response(),
        Err(error) => {
            let status = match error.exit {
                Exit::Input => StatusCode::NOT_FOUND,
                _ => StatusCode::BAD_GATEWAY,
            };
            let body = json!({ "code": error.code, "what": error.what, "advice": error.advice });
            (status, Json(body)).into_response()
        }
    }
}
