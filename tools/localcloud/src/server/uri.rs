//! Paths and query strings as AWS's clients write them.

use axum::http::Uri;

/// The path after a prefix, in its parts, each with its percent signs resolved; a slash at the end makes no part. Nothing when the
/// path begins otherwise.
pub(super) fn parts_after(uri: &Uri, prefix: &str) -> Option<Vec<String>> {
    let rest = uri.path().strip_prefix(prefix)?;
    if !rest.is_empty() && !rest.starts_with('/') {
        return None;
    }
    Some(rest.split('/').filter(|part| !part.is_empty()).map(decoded).collect())
}

/// A field of a query string or of a form.
pub(super) fn field(text: &str, name: &str) -> Option<String> {
    let mut fields = text.split('&').filter_map(|field| field.split_once('='));
    fields.find(|(key, _)| *key == name).map(|(_, value)| decoded(value))
}

/// A path with its percent signs resolved, in which a plus is a plus.
pub(super) fn decoded_path(text: &str) -> String {
    decoded(&text.replace('+', "%2B"))
}

/// The text with `%3A` and the like resolved, and a plus as the space that forms mean by it.
pub(super) fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let escaped = after
            .get(..2)
            .filter(|_| *byte == b'%')
            .and_then(|code| std::str::from_utf8(code).ok())
            .and_then(|code| u8::from_str_radix(code, 16).ok());
        bytes.push(match (escaped, byte) {
            (Some(escaped), _) => escaped,
            (None, b'+') => b' ',
            (None, byte) => *byte,
        });
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The name of a function, which may be given with a version or an alias, or as an ARN.
pub(super) fn function_name(given: &str) -> &str {
    let name = given.split_once(":function:").map_or(given, |(_, name)| name);
    name.split(':').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_fields_are_read_as_clients_write_them() {
        let uri: Uri = "/2015-03-31/functions/arn%3Aaws%3Alambda%3Ar%3A0%3Afunction%3Ascore%3Alive/?MaxItems=5"
            .parse()
            .unwrap();
        let parts = parts_after(&uri, "/2015-03-31/functions").unwrap();
        assert_eq!(parts, ["arn:aws:lambda:r:0:function:score:live"]);
        assert_eq!(function_name(&parts[0]), "score");
        assert_eq!(function_name("score:live"), "score");
        assert_eq!(parts_after(&uri, "/2015-03-31/function"), None);
        assert_eq!(field("a=1&FunctionName=x%20y+z&b", "FunctionName").unwrap(), "x y z");
        assert_eq!(field("FunctionNames=x", "FunctionName"), None);
        assert_eq!(decoded("%zz%4"), "%zz%4");
    }
}
