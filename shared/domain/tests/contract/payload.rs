//! Payloads as text, so that a test can break any part of them.

use tidemark_domain::contract::{Bounds, Decoded, decode};
use tidemark_domain::refusal::{Refusal, RefusalCode};

/// When the records of these tests arrived: 2026-11-22T12:00:00Z.
pub const ARRIVAL_MS: i64 = 1_795_348_800_000;

/// The members of a JSON object: name and value as text.
#[derive(Clone)]
pub struct Payload(Vec<(String, String)>);

impl Payload {
    fn of(members: &[(&str, &str)]) -> Self {
        Self(
            members
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        )
    }

    pub fn transaction_v1() -> Self {
        Self::of(&[
            ("schema", "\"transaction\""),
            ("version", "1"),
            ("event_id", "\"0192f0c1-7e5a-7c3e-9a41-5d0f6b1c2e77\""),
            ("card_id", "\"card-7f3a\""),
            ("occurred_at_ms", "1795348799000"),
            ("amount_minor", "1250"),
            ("currency", "\"EUR\""),
            ("merchant_id", "\"shop-19\""),
            ("mcc", "5411"),
            ("country", "\"FR\""),
            ("channel", "\"point_of_sale\""),
            ("approved", "true"),
        ])
    }

    pub fn transaction() -> Self {
        Self::transaction_v1()
            .set("version", "2")
            .set("device_id", "\"phone-1\"")
            .set("latitude", "48.8566")
            .set("longitude", "2.3522")
    }

    pub fn transaction_v3() -> Self {
        Self::transaction()
            .set("version", "3")
            .set("links", "{\"ip\":\"ip-7f\",\"email_hash\":\"5e2a\"}")
            .set("account_opened_at_ms", "1500000000000")
    }

    pub fn profile() -> Self {
        Self::of(&[
            ("schema", "\"profile\""),
            ("version", "1"),
            ("card_id", "\"card-7f3a\""),
            ("profile_version", "3"),
            ("usual_country", "\"FR\""),
            ("spend_mean_minor", "4200.5"),
            ("spend_deviation_minor", "1800"),
            ("transactions_per_day", "1.5"),
            ("account_opened_at_ms", "1500000000000"),
            ("updated_at_ms", "1700000000000"),
        ])
    }

    pub fn label() -> Self {
        Self::of(&[
            ("schema", "\"label\""),
            ("version", "1"),
            ("event_id", "\"0192f0c1-7e5a-7c3e-9a41-5d0f6b1c2e77\""),
            ("card_id", "\"card-7f3a\""),
            ("verdict", "\"fraud\""),
            ("known_since_ms", "1795348799000"),
        ])
    }

    pub fn label_v2() -> Self {
        Self::label()
            .set("version", "2")
            .set("occurred_at_ms", "1795348799000")
            .set("merchant_id", "\"shop-19\"")
            .set("device_id", "\"phone-1\"")
            .set("links", "{\"ip\":\"ip-7f\"}")
    }

    /// Every schema and version.
    pub fn all() -> [(&'static str, Self); 6] {
        [
            ("transaction.v1.json", Self::transaction_v1()),
            ("transaction.v2.json", Self::transaction()),
            ("transaction.v3.json", Self::transaction_v3()),
            ("profile.v1.json", Self::profile()),
            ("label.v1.json", Self::label()),
            ("label.v2.json", Self::label_v2()),
        ]
    }

    /// Gives a member another value, or adds it at the end.
    pub fn set(mut self, name: &str, value: &str) -> Self {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => value.clone_into(known),
            None => self.0.push((name.to_owned(), value.to_owned())),
        }
        self
    }

    /// Adds a member at the end, even if there is one of that name.
    pub fn add(mut self, name: &str, value: &str) -> Self {
        self.0.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn drop(mut self, name: &str) -> Self {
        self.0.retain(|(known, _)| known != name);
        self
    }

    pub fn names(&self) -> Vec<String> {
        self.0.iter().map(|(name, _)| name.clone()).collect()
    }

    pub fn bytes(&self) -> Vec<u8> {
        let members: Vec<String> = self
            .0
            .iter()
            .map(|(name, value)| format!("\"{name}\":{value}"))
            .collect();
        format!("{{{}}}", members.join(",")).into_bytes()
    }
}

pub fn read(payload: &[u8]) -> Result<Decoded, Refusal> {
    decode(payload, ARRIVAL_MS, &Bounds::default())
}

pub fn code_of(payload: &[u8]) -> Option<RefusalCode> {
    read(payload).err().map(|refusal| refusal.code)
}
