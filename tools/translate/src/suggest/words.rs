//! Words that columns are called by, and words that their values are.

/// The words of a name, in small letters: `TX_DateTime` has tx, date and time.
pub(crate) fn of(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut was_small = false;
    let mut is_open = false;
    for c in name.chars() {
        if !c.is_alphanumeric() {
            (was_small, is_open) = (false, false);
            continue;
        }
        if !is_open || (c.is_uppercase() && was_small) {
            words.push(String::new());
        }
        (was_small, is_open) = (c.is_lowercase(), true);
        if let Some(word) = words.last_mut() {
            word.extend(c.to_lowercase());
        }
    }
    words
}

/// A channel of the contract that a value means.
pub(crate) fn channel(value: &str) -> Option<&'static str> {
    let value = value.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| value.contains(word));
    if has(&["atm", "cash", "withdraw"]) {
        Some("atm")
    } else if has(&["recur", "subscri", "standing"]) {
        Some("recurring")
    } else if has(&["moto", "mail", "phone", "tele"]) {
        Some("mail_phone")
    } else if has(&[
        "online",
        "ecom",
        "e-com",
        "web",
        "internet",
        "not present",
        "cnp",
        "_net",
    ]) {
        Some("ecommerce")
    } else if has(&[
        "pos",
        "chip",
        "swipe",
        "contactless",
        "store",
        "shop",
        "terminal",
        "present",
        "tap",
    ]) {
        Some("point_of_sale")
    } else {
        None
    }
}

/// Whether a value means that the issuer approved.
pub(crate) fn approved(value: &str) -> Option<bool> {
    let value = value.to_lowercase();
    match value.as_str() {
        "true" | "t" | "yes" | "y" | "1" | "00" | "000" | "a" | "ok" => return Some(true),
        "false" | "f" | "no" | "n" | "0" | "d" => return Some(false),
        _ => {}
    }
    let has = |words: &[&str]| words.iter().any(|word| value.starts_with(word));
    if has(&["appr", "accept", "succ", "auth", "settled", "complet"]) {
        Some(true)
    } else if has(&["decl", "deni", "fail", "refus", "reject"]) {
        Some(false)
    } else {
        None
    }
}

/// Whether a value means fraud.
pub(crate) fn is_fraud(value: &str) -> Option<bool> {
    match value.to_lowercase().as_str() {
        "1" | "true" | "t" | "yes" | "y" | "fraud" | "fraudulent" | "1.0" => Some(true),
        "0" | "false" | "f" | "no" | "n" | "genuine" | "legit" | "legitimate" | "normal" | "ok" | "0.0" => Some(false),
        _ => None,
    }
}

/// A category's code, for categories in words.
pub(crate) fn mcc(value: &str) -> Option<u16> {
    const CODES: [(&str, u16); 14] = [
        ("grocer", 5411),
        ("supermark", 5411),
        ("gas", 5541),
        ("fuel", 5541),
        ("restaurant", 5812),
        ("dining", 5812),
        ("pharma", 5912),
        ("hotel", 7011),
        ("airline", 4511),
        ("travel", 4722),
        ("cloth", 5651),
        ("electronic", 5732),
        ("atm", 6011),
        ("entertain", 7999),
    ];
    let value = value.to_lowercase();
    CODES
        .into_iter()
        .find(|(word, _)| value.contains(word))
        .map(|(_, code)| code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart_by_signs_and_capitals() {
        assert_eq!(of("TX_DateTime"), ["tx", "date", "time"]);
        assert_eq!(of("isFraud"), ["is", "fraud"]);
        assert_eq!(of("/card/id"), ["card", "id"]);
        assert_eq!(of("Montant (€)"), ["montant"]);
        assert_eq!(of(""), Vec::<String>::new());
    }

    #[test]
    fn values_are_known_by_their_words() {
        assert_eq!(
            (channel("CHIP"), channel("Online Shop"), channel("?")),
            (Some("point_of_sale"), Some("ecommerce"), None)
        );
        assert_eq!(
            (approved("00"), approved("Declined"), approved("51")),
            (Some(true), Some(false), None)
        );
        assert_eq!((mcc("grocery_pos"), mcc("kids_pets")), (Some(5411), None));
    }
}
