//! Who is at the terminal: what a change is signed with.

use tidemark_aws::admin::Admin;
use tidemark_domain::control::WHO_BYTES_MAX;

/// The account that local clouds give everybody: it names nobody.
const NOBODYS_ACCOUNT: &str = "000000000000";

/// Who makes a change: who was given by name, or the caller whom AWS knows, or who is logged in on this machine.
pub async fn who(admin: &Admin, given: Option<&str>, login: Option<&str>) -> Option<String> {
    if let Some(given) = given {
        return Some(given.to_owned());
    }
    let caller = admin.caller_arn().await.ok().and_then(|arn| caller(&arn));
    caller.or_else(|| login.map(str::to_owned))
}

/// An ARN for a record: account and name, as `123456789012:assumed-role/OnCall/alice`.
fn caller(arn: &str) -> Option<String> {
    // arn:partition:service:region:account:name
    let account_and_name: Vec<&str> = arn.splitn(6, ':').skip(4).collect();
    let [account, name] = account_and_name[..] else {
        return None;
    };
    if account == NOBODYS_ACCOUNT || name.is_empty() || !arn.is_ascii() {
        return None;
    }
    let room = WHO_BYTES_MAX - account.len().min(20) - 1;
    // The end says who it was: a session's or a user's name.
    let name = name.get(name.len().saturating_sub(room)..).unwrap_or(name);
    Some(format!("{account}:{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_is_named_by_account_and_name() {
        assert_eq!(
            caller("arn:aws:sts::123456789012:assumed-role/OnCall/alice").as_deref(),
            Some("123456789012:assumed-role/OnCall/alice")
        );
        assert_eq!(
            caller("arn:aws:iam::123456789012:user/alice").as_deref(),
            Some("123456789012:user/alice")
        );
        assert_eq!(caller("arn:aws:iam::000000000000:root"), None, "a local cloud's");
        assert_eq!(caller("arn:aws"), None);
    }

    #[test]
    fn a_long_name_keeps_its_end_and_fits_a_record() {
        let arn = format!(
            "arn:aws:sts::123456789012:assumed-role/{}/{}",
            "r".repeat(64),
            "s".repeat(64)
        );
        let caller = caller(&arn).unwrap();
        assert_eq!(caller.len(), WHO_BYTES_MAX);
        assert!(caller.starts_with("123456789012:") && caller.ends_with(&"s".repeat(64)));
    }
}
