//! Lists of cards that override their decisions.

use std::sync::Arc;

use tidemark_domain::fold::{FoldAnswer, fold_overridden};
use tidemark_domain::history::History;
use tidemark_domain::lists::ListOf;
use tidemark_domain::model::ProfileInput;
use tidemark_domain::outcome::OverrideAction;
use tidemark_domain::policy::Policy;

use crate::listed::{HOUR_MS, POLICY, TIME_MS, list, rendered, transaction};

/// A card's own override goes first, then the lists in the policy's order, then the rules; each as of the event's time.
#[test]
fn a_list_of_cards_overrides_their_decisions() {
    let text = POLICY.replacen(
        "[[lists]]",
        "[[lists]]\nname = \"allowed\"\nof = \"ids\"\noverrides = \"allow\"\n[[lists]]\nname = \"blocked\"\nof = \"ids\"\noverrides = \"block\"\n[[lists]]",
        1,
    );
    let with = |allowed: &[(&str, Option<i64>)], blocked: Option<&[(&str, Option<i64>)]>| {
        let allowed = list(ListOf::Ids, allowed);
        let blocked = blocked.map(|blocked| list(ListOf::Ids, blocked));
        let policy = Policy::parse(&text, "lists.toml").unwrap_or_else(|problems| panic!("{problems:#?}"));
        policy.with_lists(|name| match name.as_str() {
            "allowed" => Some(Arc::clone(&allowed)),
            "blocked" => blocked.clone(),
            _ => None,
        })
    };
    let decided = |policy: &Policy, own: Option<OverrideAction>| {
        let tx = transaction(1, &[]);
        match fold_overridden(&mut History::default(), &tx, ProfileInput::Absent, policy, own) {
            FoldAnswer::Scored { entry } => (entry.outcome.override_action(), rendered(&tx, &entry)),
            other => panic!("{other:?}"),
        }
    };
    let (allow, block) = (Some(OverrideAction::Allow), Some(OverrideAction::Block));
    let (found, outcome) = decided(&with(&[], Some(&[("card", None)])), None);
    assert_eq!(found, block);
    assert_eq!(outcome["decision"], "alert");
    assert_eq!(outcome["reasons"][0]["code"], "override_block");
    assert!(outcome["list_versions"]["blocked"].is_string());
    assert_eq!(
        decided(&with(&[("card", None)], Some(&[("card", None)])), None).0,
        allow,
        "the first list"
    );
    assert_eq!(
        decided(&with(&[("card", None)], Some(&[])), block).0,
        block,
        "the card's own override"
    );
    assert_eq!(decided(&with(&[("another", None)], Some(&[])), None).0, None);
    let ended = with(&[("card", Some(TIME_MS + HOUR_MS / 2))], Some(&[]));
    assert_eq!(decided(&ended, None).0, None, "its entry has ended");
    let (found, outcome) = decided(&with(&[], None), None);
    assert_eq!(found, None);
    assert!(outcome["missing"].to_string().contains("list_unavailable:blocked"));
}
