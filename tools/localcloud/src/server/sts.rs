//! STS, of which the local AWS has the one call that says who is asking.

use axum::body::Bytes;
use axum::http::request;
use axum::response::{IntoResponse, Response};

use super::{unknown, uri};
use crate::account::ACCOUNT;

/// Answers a request to STS; nothing when it is for another service.
pub(super) fn answer(parts: &request::Parts, body: &Bytes) -> Option<Response> {
    let form = unknown::form(parts, body)?;
    if uri::field(&form, "Action")? != "GetCallerIdentity" {
        return None;
    }
    let xml = format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
         <Arn>arn:aws:iam::{ACCOUNT}:root</Arn><UserId>{ACCOUNT}</UserId><Account>{ACCOUNT}</Account>\
         </GetCallerIdentityResult><ResponseMetadata><RequestId>{}</RequestId></ResponseMetadata></GetCallerIdentityResponse>",
        unknown::REQUEST_ID
    );
    Some(([("content-type", "text/xml")], xml).into_response())
}
