use reconcile::{Account, Break, OutcomeChecks};
use tidemark_domain::invariant::Invariant;

use super::*;

fn report(account: Account, breaks: &[&str]) -> AuditReport {
    let found = Judgement {
        holds: account.accepted > 0 && account.unaccounted == 0,
        account,
        outcomes: OutcomeChecks {
            events: 1,
            records: 2,
            ..OutcomeChecks::default()
        },
        breaks: breaks
            .iter()
            .map(|what| Break {
                invariant: Invariant::NothingLost,
                what: (*what).to_owned(),
            })
            .collect(),
        ..Judgement::default()
    };
    AuditReport {
        found,
        ..AuditReport::default()
    }
}

fn text(report: &AuditReport) -> String {
    anstream::adapter::strip_str(&view::render(report)).to_string()
}

#[test]
fn a_whole_range_holds() {
    let whole = Account {
        accepted: 2,
        scored: 1,
        duplicate: 1,
        ..Account::default()
    };
    let report = report(whole, &[]).judged();
    assert_eq!((report.verdict, report.exit()), (Conclusion::Holds, Exit::Ok));
    let text = text(&report);
    assert!(text.contains("I1 and I3 hold: each of 2 records"), "{text}");
}

#[test]
fn a_record_that_is_nowhere_fails_and_is_named() {
    let lost = Account {
        accepted: 2,
        scored: 1,
        unaccounted: 1,
        ..Account::default()
    };
    let report = report(lost, &["record 2 of s-1 is nowhere"]).judged();
    assert_eq!((report.verdict, report.exit()), (Conclusion::Broken, Exit::Failed));
    assert!(text(&report).contains("✗ I1: record 2 of s-1"), "{}", text(&report));
    assert!(!text(&report).contains("hold:"), "{}", text(&report));
}

#[test]
fn what_is_still_on_its_way_fails_an_audit_that_was_to_wait() {
    let waiting = Account {
        accepted: 1,
        pending: 1,
        ..Account::default()
    };
    let mut report = report(waiting, &[]).judged();
    assert_eq!(report.exit(), Exit::Ok);
    assert!(
        text(&report).contains("(1 are still on their way)"),
        "{}",
        text(&report)
    );
    report.settle_s = Some(30);
    report.waited_ms = 30_400;
    let report = report.judged();
    assert_eq!((report.verdict, report.exit()), (Conclusion::Unsettled, Exit::Failed));
    let text = text(&report);
    assert!(
        text.contains("✗ 1 records are still on their way, after 30 s"),
        "{text}"
    );
    assert!(!text.contains("hold:"), "{text}");
}

#[test]
fn an_empty_range_says_that_nothing_was_looked_at() {
    let mut report = report(Account::default(), &[]);
    report.found.outcomes = OutcomeChecks::default();
    let report = report.judged();
    assert_eq!((report.verdict, report.exit() as u8), (Conclusion::Nothing, 6));
    let text = text(&report);
    assert!(text.contains("Nothing was looked at") && !text.contains('✓'), "{text}");
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!((&json["verdict"], &json["holds"]), (&"nothing".into(), &false.into()));
}
