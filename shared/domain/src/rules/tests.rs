//! The language: what holds, what is missing, what is undefined, and every problem with its place.

use super::*;
use crate::catalogue::KeyName;
use crate::lists::{ListOf, ListTerms};
use crate::outcome::Decision;

/// An event for 250.00 EUR (in USD: 300.00) at a merchant of gift cards, without a device, on a card of three days.
struct Event {
    features: Vec<FeatureKey>,
}

impl Facts for Event {
    fn whole(&self, fact: WholeFact) -> Option<i64> {
        match fact {
            WholeFact::AmountMinor => Some(30_000),
            WholeFact::AmountBaseMinor => Some(25_000),
            WholeFact::Mcc => Some(5_947),
            WholeFact::OccurredAtMs => Some(1_780_000_000_000),
            WholeFact::Score => Some(512),
            WholeFact::ProfileVersion => Some(i64::MAX),
            WholeFact::AccountOpenedAtMs | WholeFact::ProfileAccountOpenedAtMs | WholeFact::ProfileUpdatedAtMs => None,
        }
    }

    fn number(&self, fact: NumberFact) -> Option<f64> {
        match fact {
            NumberFact::SpendMeanMinor => Some(1_250.5),
            NumberFact::SpendDeviationMinor => Some(0.0),
            NumberFact::TransactionsPerDay => None,
            NumberFact::Feature(at) => match self.features.get(at)?.to_string().as_str() {
                "card_age" => Some(3.0),
                "count_1h" => Some(2.0),
                "new_merchant" => Some(1.0),
                "amount_ratio" => Some(9_007_199_254_740_992.0),
                "terminal.fraud_run" => Some(4.0),
                _ => None,
            },
        }
    }

    fn code(&self, fact: CodeFact) -> Option<u32> {
        let text = match fact {
            CodeFact::Currency => TextFact::Currency,
            CodeFact::Country => TextFact::Country,
            CodeFact::Channel => TextFact::Channel,
            CodeFact::UsualCountry => TextFact::UsualCountry,
        };
        fact.number_of(self.text(text)?)
    }

    fn text(&self, fact: TextFact) -> Option<&str> {
        match fact {
            TextFact::CardId => Some("card-1"),
            TextFact::Currency => Some("USD"),
            TextFact::Country => Some("FR"),
            TextFact::MerchantId => Some("gift-cards-köln"),
            TextFact::Channel => Some("ecommerce"),
            TextFact::UsualCountry => Some("DE"),
            TextFact::Link(name) if Some(name) == KeyName::new("ip") => Some("192.0.2.7"),
            TextFact::DeviceId | TextFact::Link(_) => None,
        }
    }

    fn approved(&self) -> bool {
        true
    }

    /// Of the lists `mules`, `abroad`, `networks` and `away`, of which the last is not at hand.
    fn listed(&self, list: usize, text: &str) -> Option<bool> {
        [["gift-cards-köln", "card-1"], ["FR", "ES"], ["192.0.2.7", ""]]
            .get(list)
            .map(|list| list.contains(&text))
    }
}

const FEATURES: [&str; 7] = [
    "card_age",
    "count_1h",
    "new_merchant",
    "amount_ratio",
    "amount_z",
    "terminal.fraud_run",
    "surprise.sum_7d",
];

fn rule(when: &str) -> Result<(Rule, Slots), RuleProblem> {
    let features = FEATURES.map(|name| FeatureKey::parse(name).unwrap());
    let says = Arc::new(RuleSays::new("a", "words").unwrap());
    let mut slots = Slots::default();
    let of = [ListOf::Ids, ListOf::Countries, ListOf::Addresses, ListOf::Ids];
    let lists = ["mules", "abroad", "networks", "away"].into_iter().zip(of);
    let lists = lists.map(|(name, of)| ListTerms {
        name: KeyName::new(name).unwrap(),
        of,
    });
    let known = Known {
        features: &features,
        lists: &lists.collect::<Vec<_>>(),
    };
    let rule = Rule::new((says, Decision::Alert, RuleMode::Enforce), when, &known, &mut slots)?;
    Ok((rule, slots))
}

/// `Some(true)`: it holds; `Some(false)`: it does not; `None`: something is missing; a panic for what is wrong.
#[track_caller]
fn holds(when: &str) -> Result<bool, Lack> {
    let (rule, slots) = rule(when).unwrap_or_else(|problem| panic!("{when}: {problem:?}"));
    let event = Event { features: slots.0 };
    let found = rule.test.holds(&event);
    // As long as nothing is missing on the way, the walk says the same.
    if let Some(walked) = rule.steps.walk(&event) {
        assert_eq!(Ok(walked), found, "{when}");
    }
    assert_eq!(steps::holds(&rule.steps, &rule.test, &event), found, "{when}");
    found
}

#[track_caller]
fn each(expected: Result<bool, Lack>, all: &[&str]) {
    for when in all {
        assert_eq!(holds(when), expected, "{when}");
    }
}

#[test]
fn what_holds() {
    each(
        Ok(true),
        &[
            "true",
            "event.mcc == 5947 && event.amount_minor > 20000 && features.card_age < 7",
            "event.amount_base_minor == 25000",
            "20000 < event.amount_minor",
            "event.country in [\"FR\", 'IT']",
            "event.country != profile.usual_country",
            "event.country != 'DE' && event.channel in ['atm', 'ecommerce'] && event.currency in ['USD']",
            "event.links.ip.startsWith(\"192.0.2.\")",
            "event.merchant_id.endsWith('köln') && event.merchant_id.contains('cards')",
            "size(event.merchant_id) == 15 && event.merchant_id.size() == 15",
            "event.approved",
            "!(score > 600)",
            "!!event.approved",
            "event.approved == (score > 500)",
            "event.approved != (score > 600)",
            "score / 100 == 5 && score % 100 == 12 && -score < 0",
            "features.terminal.fraud_run >= 4",
            "features.new_merchant == 1",
            "features.new_merchant in [0, 1.0]",
            "features.count_1h * 2.0 == 4.0",
            "features.count_1h / 4.0 <= 0.5",
            "double(score) / 2.0 == 256",
            "profile.spend_mean_minor > 1250",
            "profile.spend_mean_minor != 1250",
            "1250 < profile.spend_mean_minor",
            "score > 511.5 && 512.5 > score && score == 512.0",
            "(score > 600 ? 1 : 2) == 2",
            "(score > 600 ? 1.5 : 2.5) == 2.5",
            "(event.approved ? event.country : 'DE') == 'FR'",
            "event.approved ? score > 500 : score > 900",
            "'a' == \"a\" && '\\'' == \"'\"",
            "score > 0 // the rest is a remark: && false",
            "score > 0 &&\n\tscore < 1000",
            "event.channel == 'ecommerce' && event.currency == 'USD'",
            "1e3 > 999.5 && 1.5e-1 == 0.15",
            // More than a number with a fraction can tell apart.
            "profile.profile_version > 9223372036854774784.0",
            "features.amount_ratio < 9007199254740993",
            "profile.profile_version - 9223372036854775806 == 1",
        ],
    );
    each(
        Ok(false),
        &[
            "false",
            "event.country in []",
            "event.mcc in [1, 2]",
            "event.links.ip == 'x'",
            "0.0 != -0.0",
            "score >= 512.5",
            "profile.profile_version >= 9223372036854775808.0",
        ],
    );
}

#[test]
fn what_is_missing_is_neither_more_nor_less_nor_equal_and_can_be_asked_for() {
    each(
        Err(Lack::Missing),
        &[
            "event.device_id == 'a'",
            "event.device_id != 'a'",
            "!(event.device_id == 'a')",
            "features.amount_z > 1.0",
            "features.amount_z <= 1",
            "event.links.account in ['a']",
            "event.account_opened_at_ms + 1 > 0",
            "features.amount_z > 1 ? true : true",
            "(features.amount_z > 1) == (features.amount_z > 1)",
            "profile.transactions_per_day * 2.0 > 1.0",
            "size(event.device_id) == 0",
            "features.surprise.sum_7d > 0",
        ],
    );
    each(
        Ok(true),
        &[
            "!has(event.device_id)",
            "has(event.country) && has(event.approved) && has(score)",
            "has(features.card_age) && !has(features.amount_z)",
            "!has(profile.updated_at_ms)",
            // As the language has it, no part of && and || is before another.
            "event.device_id == 'a' || score > 500",
            "score > 500 || event.device_id == 'a'",
            "!(event.device_id == 'a' && score > 600)",
            "!(score > 600 && event.device_id == 'a')",
            "has(event.device_id) ? event.device_id == 'a' : true",
        ],
    );
}

#[test]
fn arithmetic_without_a_result_is_undefined_and_so_is_what_rests_on_it() {
    each(
        Err(Lack::Undefined),
        &[
            "score / (score - 512) > 1",
            "score % (score - 512) == 0",
            "features.count_1h / profile.spend_deviation_minor > 10.0",
            "features.count_1h / profile.spend_deviation_minor <= 10.0",
            "profile.profile_version + 1 > 0",
            "profile.profile_version * 2 > 0",
            "-profile.profile_version - 2 < 0",
            "features.amount_ratio * 1e300 > 1.0",
            "!(score / (score - 512) > 1)",
            // What comes first from the left.
            "score / (score - 512) > 1 && event.device_id == 'a'",
        ],
    );
    each(
        Err(Lack::Missing),
        &["event.device_id == 'a' && score / (score - 512) > 1"],
    );
    each(Ok(true), &["score / (score - 512) > 1 || true"]);
    each(Ok(false), &["score / (score - 512) > 1 && false"]);
}

#[test]
fn an_end_says_whether_a_rule_decides_or_watches_or_has_no_result() {
    let end = |when: &str, mode: RuleMode| {
        let (mut rule, slots) = rule(when).unwrap();
        rule.mode = mode;
        rule.hit(&Event { features: slots.0 }).map(|hit| hit.end)
    };
    for (mode, held) in [
        (RuleMode::Enforce, RuleEnd::Held(Decision::Alert)),
        (RuleMode::Observe, RuleEnd::Observed(Decision::Alert)),
    ] {
        assert_eq!(end("score > 1", mode), Some(held));
        assert_eq!(end("score > 999", mode), None);
        assert_eq!(end("event.device_id == 'a'", mode), None);
        assert_eq!(end("score / (score - 512) > 1", mode), Some(RuleEnd::Undefined));
    }
}

#[track_caller]
fn refused(when: &str, at: usize, words: &[&str]) {
    let problem = rule(when).err().unwrap_or_else(|| panic!("{when}: accepted"));
    assert_eq!(problem.at, at, "{when}: {problem:?}");
    for word in words {
        assert!(
            problem.message.contains(word),
            "{when}: expected {word:?} in {problem:?}"
        );
    }
}

#[test]
fn kinds_that_do_not_go_together_are_refused_where_they_meet() {
    refused("event.country == 5", 14, &["`==` compares a text with a whole number"]);
    refused(
        "event.amount_minor > \"200\"",
        19,
        &["`>` compares a whole number with a text"],
    );
    refused("event.country < 'FR'", 14, &["compares numbers only", "`==` or `!=`"]);
    refused("event.approved > false", 15, &["compares numbers only"]);
    refused("score", 0, &["true or false", "a whole number"]);
    refused("score && true", 0, &["true or false"]);
    refused("true && 'a'", 8, &["true or false", "a text"]);
    refused("!score", 1, &["true or false"]);
    refused("-event.country == 1", 0, &["expected a number behind `-`"]);
    refused("score + 1.5 > 2.0", 6, &["write 2.0 for 2", "double(x)"]);
    refused("features.count_1h / 2 > 1.0", 18, &["write 2.0 for 2"]);
    refused("1.5 % 1.0 == 0.5", 4, &["whole numbers only"]);
    refused("event.country + 'a' == 'FRa'", 14, &["takes two numbers"]);
    refused("event.approved ? 1 : 2.0", 15, &["chooses between", "the same kind"]);
    refused("event.country in 'FR'", 17, &["expected a list"]);
    refused(
        "event.country in ['FR', 5]",
        24,
        &["a text as a constant in this list, found a whole number"],
    );
    refused("event.mcc in [1, score]", 17, &["a whole number as a constant"]);
    refused("event.approved in [true]", 0, &["a number or a text before `in`"]);
    refused("['FR'] == ['FR']", 0, &["only behind `in`"]);
    refused("score / 0 > 1", 8, &["divides by zero"]);
    refused("score % 0 > 1", 8, &["divides by zero"]);
    refused("features.count_1h / 0.0 > 1.0", 20, &["divides by zero"]);
    refused("startsWith(event.country, 'F')", 0, &["text.startsWith(part)"]);
    refused("event.country.startsWith(5)", 25, &["expected a text for startsWith"]);
    refused("event.merchant_id.matches('a+')", 0, &["matches()", "no bound"]);
    refused("now() > 5", 0, &["unknown function `now`", "has(name)"]);
    refused("double('a') > 1.0", 7, &["expected a number for double()"]);
    refused("size(5) > 1", 5, &["expected a text for size()"]);
}

#[test]
fn a_list_of_the_policy_is_asked_by_its_name() {
    each(
        Ok(true),
        &[
            "event.merchant_id in lists.mules",
            "event.card_id in lists.mules",
            "(event.approved ? event.merchant_id : event.device_id) in lists.mules",
            "event.country in lists.abroad && !(profile.usual_country in lists.abroad)",
            "event.links.ip in lists.networks",
        ],
    );
    each(
        Ok(false),
        &["!(event.merchant_id in lists.mules)", "event.currency in lists.mules"],
    );
    // The device is missing, the account too, and the last list is not at hand: which is neither true nor false.
    each(
        Err(Lack::Missing),
        &[
            "event.device_id in lists.mules",
            "event.links.account in lists.networks",
            "event.merchant_id in lists.away",
            "!(event.merchant_id in lists.away)",
            "event.merchant_id in lists.away || score > 999",
        ],
    );
    each(Ok(true), &["event.merchant_id in lists.away || score > 1"]);
}

#[test]
fn lists_are_refused_where_the_policy_has_none_or_others() {
    refused(
        "score > 1 && event.merchant_id in lists.mule",
        34,
        &["declares no list `mule`", "did you mean `lists.mules`?"],
    );
    refused(
        "event.merchant_id in lists.sanctioned",
        21,
        &["declares no list `sanctioned`", "[[lists]]"],
    );
    refused("lists.mules", 0, &["`lists.mules` is a list", "only behind `in`"]);
    refused("has(lists.mules)", 4, &["only behind `in`"]);
    refused("score in lists.mules", 0, &["a text for a list", "a whole number"]);
    refused("'a' in lists.mules", 0, &["expected a name"]);
    refused("event.country in lists.mules", 0, &["a list of countries"]);
    refused("event.merchant_id in lists.abroad", 0, &["event.country"]);
    refused("event.device_id in lists.networks", 0, &["event.links.ip"]);
    refused(
        "(event.approved ? event.links.ip : event.merchant_id) in lists.networks",
        16,
        &["event.links.ip"],
    );
    refused("event.merchant_id in lists", 21, &["lists.mules"]);
    refused(
        "event.merchant_id in lists.mules.all",
        21,
        &["expected a list in brackets"],
    );
}

#[test]
fn names_that_are_none_are_refused_with_what_may_have_been_meant() {
    refused(
        "event.amout_minor > 5",
        0,
        &["unknown name `event.amout_minor`", "did you mean `event.amount_minor`?"],
    );
    refused(
        "score > 5 && amount_minor > 5",
        13,
        &["did you mean `event.amount_minor`?"],
    );
    refused("features.card_agee < 7", 0, &["did you mean `features.card_age`?"]);
    refused(
        "features.count_5m > 7",
        0,
        &["the feature `count_5m`", "`features` of the policy too"],
    );
    refused(
        "features.terminal.fraud_runs > 7",
        0,
        &["did you mean `features.terminal.fraud_run`?"],
    );
    refused("event.links.IP == 'a'", 0, &["`IP` is no name of a link"]);
    refused(
        "nothing_like_it.at_all",
        0,
        &["unknown name", "event.amount_minor, event.amount_base_minor"],
    );
    refused("event > 5", 0, &["unknown name `event`"]);
    refused("event.country == 'XX'", 17, &["\"XX\" is no country", "ISO 3166-1"]);
    refused("'Euro' == event.currency", 0, &["\"Euro\" is no currency", "ISO 4217"]);
    refused(
        "event.channel in ['atm', 'web']",
        25,
        &["\"web\" is no channel", "point_of_sale"],
    );
    refused("has(score + 1)", 10, &["only names have members"]);
}

#[test]
fn what_is_no_expression_is_refused_where_it_goes_wrong() {
    refused("", 0, &["expected a value or a name, found the end"]);
    refused("score >", 7, &["found the end"]);
    refused("score > 5 event.mcc", 10, &["`event` means nothing here"]);
    refused("score > 5 and event.approved", 10, &["write `&&`"]);
    refused("score > 5 or event.approved", 10, &["write `||`"]);
    refused("not event.approved", 0, &["write `!`"]);
    refused("score = 5", 6, &["write `==`"]);
    refused("score > 5 & true", 10, &["write `&&`"]);
    refused("score > 5 | true", 10, &["write `||`"]);
    refused("(score > 5", 10, &["expected `)`"]);
    refused("score > 5)", 9, &["means nothing here"]);
    refused("event.country == 'FR", 17, &["has no end"]);
    refused("event.country == 'F\nR'", 17, &["has no end"]);
    refused("event.country == 'F\\q'", 19, &["unknown escape"]);
    refused("event.merchant_id == r'a'", 21, &["`r`"]);
    refused("event['country'] == 'FR'", 5, &["after a point"]);
    refused("event.device_id == null", 19, &["no null", "has(event.device_id)"]);
    refused("score > 5u", 8, &["followed by a letter"]);
    refused("score > 0x10", 8, &["hexadecimal"]);
    refused("score > 9223372036854775808", 8, &["too great"]);
    refused("score > 1e999", 8, &["too great"]);
    refused("{'a': 1}", 0, &["no maps"]);
    refused("score > 5 ? true", 16, &["expected `:`"]);
    refused("score > 5 # remark", 10, &["unknown character '#'"]);
    refused("event.country in ['FR',", 23, &["found the end"]);
    refused("event. > 5", 7, &["expected a name after `.`"]);
}

#[test]
fn no_expression_is_deeper_or_longer_than_its_limits() {
    let nested = |levels: usize| format!("{}true{}", "(".repeat(levels), ")".repeat(levels));
    assert_eq!(holds(&nested(RULE_NESTING_MAX - 1)), Ok(true));
    refused(
        &nested(RULE_NESTING_MAX),
        RULE_NESTING_MAX,
        &["nested deeper than 32 levels"],
    );
    refused(&nested(900), RULE_NESTING_MAX, &["nested deeper than 32 levels"]);
    refused(&nested(10_000), RULE_BYTES_MAX, &["20004 bytes, expected at most 2000"]);
    for (deep, word) in [
        (format!("{}true", "!".repeat(1_900)), "deeper"),
        (format!("{}1 > 0", "-".repeat(1_900)), "deeper"),
        (format!("1{} > 0", "+1".repeat(900)), "deeper"),
        (format!("{}true", "true?true:".repeat(190)), "deeper"),
        (format!("{}1", "size(".repeat(300)), "deeper"),
        (format!("{}1", "[".repeat(1_900)), "deeper"),
        (format!("score{}", ".a".repeat(900)), "deeper"),
        (format!("{}score == 1", "1 == ".repeat(300)), "deeper"),
    ] {
        let problem = rule(&deep).err().unwrap_or_else(|| panic!("{deep}: accepted"));
        assert!(problem.message.contains(word), "{}: {problem:?}", &deep[..20]);
    }
    // Long, and not deep.
    let wide = vec!["score > 5"; 150].join(" && ");
    assert!(wide.len() < RULE_BYTES_MAX);
    assert_eq!(holds(&wide), Ok(true));
}

#[test]
fn rules_share_the_slot_of_a_feature_and_name_those_that_they_read() {
    let (_, slots) = rule("features.card_age < 7 && features.count_1h > 1 && features.card_age > 1").unwrap();
    assert_eq!(slots.0.len(), 2);
    assert_eq!(
        features_named(
            "features.terminal.fraud_run > 1 || has(features.card_age) || score in [1] || features.card_age < 1"
        ),
        ["card_age", "terminal.fraud_run"]
    );
    assert!(features_named("score >").is_empty());
}

#[test]
fn whole_facts_stand_where_their_numbers_say() {
    for (at, fact) in WholeFact::ALL.into_iter().enumerate() {
        assert_eq!(fact as usize, at);
    }
}
