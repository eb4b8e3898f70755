//! Ids that an event has besides merchant and device, each under a name that the policy knows: an ip, an account, the hash of an
//! address …

use crate::catalogue::KeyName;
use crate::id::LinkId;

/// At most so many ids may an event have under names of their own.
pub const LINKS_MAX: usize = 8;

/// Ids by name: at most [`LINKS_MAX`], each name once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links(Vec<(KeyName, LinkId)>);

impl Links {
    /// The links of a transaction that names none.
    pub const NONE: Self = Self(Vec::new());

    /// Takes ids in any order; `None` where there are too many, or a name comes twice.
    #[must_use]
    pub fn new(links: impl IntoIterator<Item = (KeyName, LinkId)>) -> Option<Self> {
        let mut links: Vec<(KeyName, LinkId)> = links.into_iter().take(LINKS_MAX + 1).collect();
        links.sort_by_key(|(name, _)| *name);
        let is_set = links.is_sorted_by(|(one, _), (other, _)| one < other);
        (is_set && links.len() <= LINKS_MAX).then_some(Self(links))
    }

    /// The id under a name.
    #[must_use]
    pub fn get(&self, name: KeyName) -> Option<&LinkId> {
        let found = self.0.iter().find(|(other, _)| *other == name);
        found.map(|(_, id)| id)
    }

    /// Names and ids, by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&KeyName, &LinkId)> {
        self.0.iter().map(|(name, id)| (name, id))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_a_set_by_name() {
        let link = |name: &str| (KeyName::new(name).unwrap(), LinkId::new(name).unwrap());
        let links = Links::new([link("ip"), link("account")]).unwrap();
        assert_eq!(Some(&links), Links::new([link("account"), link("ip")]).as_ref());
        assert_eq!(links.get(KeyName::new("ip").unwrap()).unwrap().as_str(), "ip");
        assert_eq!(links.get(KeyName::CARD), None);
        assert_eq!(Links::new([link("ip"), link("ip")]), None);
        let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
        assert!(Links::new(names[..8].iter().map(|name| link(name))).is_some());
        assert_eq!(Links::new(names.iter().map(|name| link(name))), None);
    }
}
