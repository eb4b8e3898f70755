//! Who a request says it is for. What listens on loopback answers to loopback's names only: a page of some other site that
//! has its name point to 127.0.0.1 (DNS rebinding) would read what is here, in the browser of whoever looks at it.

use axum::http::{HeaderMap, header};

/// The names of this machine's loopback.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Whether a request's `Host` is a name of loopback, with or without a port. One without a `Host` is, too: browsers always send
/// one.
#[must_use]
pub fn is_named(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST) else {
        return true;
    };
    host.to_str().is_ok_and(is_name)
}

fn is_name(host: &str) -> bool {
    let of = |name: &&str| {
        let rest = host.get(..name.len()).filter(|start| start.eq_ignore_ascii_case(name));
        rest.and_then(|_| host.get(name.len()..))
    };
    let port = NAMES.iter().find_map(of);
    port.is_some_and(|port| port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopbacks_own_names_are_loopback() {
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "127.0.0.1",
            "127.0.0.1:1",
            "[::1]",
            "[::1]:65535",
        ] {
            assert!(is_name(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "127.0.0.1:x",
            "127.0.0.1:",
            "127.0.0.2",
            "xlocalhost",
            "0.0.0.0",
        ] {
            assert!(!is_name(host), "{host}");
        }
        assert!(is_named(&HeaderMap::new()));
    }
}
