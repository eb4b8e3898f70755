//! A small S3: buckets, and objects that are put, listed, got and deleted. Nothing else of it is here; docs/reference/local-aws.md says so.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Mutex;

use axum::body::Bytes;
use axum::http::{Method, StatusCode, request};
use axum::response::{IntoResponse, Response};

use super::unknown::service;
use super::{lock, uri};
use crate::clock::{iso, now_ms};

/// Names of one page (S3's limit).
const PAGE_KEYS_MAX: usize = 1_000;

/// The buckets of this cloud: the objects of each by their names, which sort by their bytes.
#[derive(Debug, Default)]
pub(super) struct Buckets(Mutex<BTreeMap<String, BTreeMap<String, Object>>>);

#[derive(Debug)]
struct Object {
    bytes: Bytes,
    written_ms: i64,
}

/// Answers a request that is signed for S3; nothing when it is another's, or one that is not here.
pub(super) fn answer(buckets: &Buckets, parts: &request::Parts, body: &Bytes) -> Option<Response> {
    if service(&parts.headers) != Some("s3") {
        return None;
    }
    let path = parts.uri.path().trim_start_matches('/');
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    if bucket.is_empty() {
        return None;
    }
    let (bucket, key) = (uri::decoded(bucket), uri::decoded_path(key));
    let query = parts.uri.query().unwrap_or_default();
    let mut all = lock(&buckets.0);
    if (&parts.method, key.as_str()) == (&Method::PUT, "") {
        all.entry(bucket).or_default();
        return Some(StatusCode::OK.into_response());
    }
    let Some(objects) = all.get_mut(&bucket) else {
        return Some(refused(StatusCode::NOT_FOUND, "NoSuchBucket", &parts.method));
    };
    match (&parts.method, key.as_str()) {
        (&Method::HEAD, "") => Some(StatusCode::OK.into_response()),
        (&Method::GET, "") if uri::field(query, "list-type").as_deref() == Some("2") => Some(list(objects, query)),
        (_, "") => None,
        (&Method::PUT, key) => {
            let object = Object {
                bytes: body.clone(),
                written_ms: now_ms(),
            };
            objects.insert(key.to_owned(), object);
            Some(StatusCode::OK.into_response())
        }
        (&Method::GET | &Method::HEAD, key) => Some(match objects.get(key) {
            Some(object) => ([("content-type", "binary/octet-stream")], object.bytes.clone()).into_response(),
            None => refused(StatusCode::NOT_FOUND, "NoSuchKey", &parts.method),
        }),
        (&Method::DELETE, key) => {
            objects.remove(key);
            Some(StatusCode::NO_CONTENT.into_response())
        }
        _ => None,
    }
}

fn list(objects: &BTreeMap<String, Object>, query: &str) -> Response {
    let of = |name: &str| uri::field(query, name);
    let prefix = of("prefix").unwrap_or_default();
    // A token of this cloud is the last name of the page before.
    let after = of("continuation-token").or_else(|| of("start-after"));
    let most = of("max-keys")
        .and_then(|text| text.parse().ok())
        .unwrap_or(PAGE_KEYS_MAX);
    let from = after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    let mut behind = objects
        .range::<str, _>((from, Bound::Unbounded))
        .filter(|(key, _)| key.starts_with(&prefix));
    let page: Vec<(&String, &Object)> = behind.by_ref().take(most.min(PAGE_KEYS_MAX)).collect();
    let more = behind.next().is_some();
    let mut body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
         <KeyCount>{}</KeyCount><IsTruncated>{more}</IsTruncated>",
        page.len()
    );
    if let Some((last, _)) = page.last().filter(|_| more) {
        body += &format!("<NextContinuationToken>{}</NextContinuationToken>", escaped(last));
    }
    for (key, object) in page {
        // S3 tells whole seconds.
        let written = iso(object.written_ms / 1_000 * 1_000);
        body += &format!(
            "<Contents><Key>{}</Key><LastModified>{written}</LastModified><Size>{}</Size><StorageClass>STANDARD</StorageClass></Contents>",
            escaped(key),
            object.bytes.len()
        );
    }
    ([("content-type", "application/xml")], body + "</ListBucketResult>").into_response()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn refused(status: StatusCode, code: &str, method: &Method) -> Response {
    if method == Method::HEAD {
        return status.into_response();
    }
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{code}</Message></Error>"
    );
    (status, [("content-type", "application/xml")], body).into_response()
}
