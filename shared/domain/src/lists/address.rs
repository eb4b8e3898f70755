//! Ranges of addresses as prefixes. A range of a list is one prefix, and an address lies in one prefix of each length: so a list of
//! ranges is asked by hashes, as a list of ids is, once for each length that occurs in it.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::fmt;

use super::problem::EntryProblem;

/// A prefix: all addresses that begin with so many bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prefix {
    first: IpAddr,
    bits: u8,
}

const fn longest(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

impl Prefix {
    /// Reads an address (`192.0.2.7`, `2001:db8::7`) or a prefix (`192.0.2.0/24`, `2001:db8::/32`).
    pub(super) fn parse(text: &str) -> Result<Self, EntryProblem> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| EntryProblem::Address)?;
        let most = longest(address);
        let is_number = |bits: &str| bits.bytes().all(|byte| byte.is_ascii_digit());
        let bits = match bits {
            None => most,
            Some(bits) => {
                let bits = Some(bits)
                    .filter(|bits| is_number(bits))
                    .and_then(|bits| bits.parse().ok());
                bits.filter(|bits| *bits <= most)
                    .ok_or(EntryProblem::PrefixBits(most))?
            }
        };
        // An address of IPv4 in the clothes of IPv6 is one of IPv4.
        let (address, bits) = match (address.to_canonical(), address) {
            (canonical @ IpAddr::V4(_), IpAddr::V6(_)) if bits >= 96 => (canonical, bits - 96),
            _ => (address, bits),
        };
        let prefix = Self::of(address, bits);
        if prefix.first == address {
            Ok(prefix)
        } else {
            Err(EntryProblem::PrefixTail(prefix.to_string()))
        }
    }

    /// The prefix of so many bits that an address lies in.
    fn of(address: IpAddr, bits: u8) -> Self {
        let first = match address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask))
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
            }
        };
        Self { first, bits }
    }

    /// What stands for it. Persisted: never change it.
    pub(super) fn fingerprint(self) -> u64 {
        let mut bytes = [0; 18];
        bytes[1] = self.bits;
        let length = match self.first {
            IpAddr::V4(address) => {
                bytes[0] = 4;
                bytes[2..6].copy_from_slice(&address.octets());
                6
            }
            IpAddr::V6(address) => {
                bytes[0] = 6;
                bytes[2..18].copy_from_slice(&address.octets());
                18
            }
        };
        xxhash_rust::xxh3::xxh3_64(&bytes[..length])
    }

    /// Its place among the lengths.
    const fn length(self) -> usize {
        let bits = self.bits as usize;
        match self.first {
            IpAddr::V4(_) => bits,
            IpAddr::V6(_) => 33 + bits,
        }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.bits == longest(self.first) {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}/{}", self.first, self.bits)
        }
    }
}

/// Which lengths of prefixes occur: 33 of IPv4, then 129 of IPv6.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lengths([u64; 3]);

impl Lengths {
    /// Takes note of a prefix in its one spelling.
    pub(super) fn add(&mut self, spelt: &str) {
        if let Ok(prefix) = Prefix::parse(spelt) {
            let at = prefix.length();
            self.0[at / 64] |= 1 << (at % 64);
        }
    }

    /// All that occur in one or the other.
    pub(super) fn join(&mut self, other: Self) {
        self.0.iter_mut().zip(other.0).for_each(|(own, other)| *own |= other);
    }

    const fn has(self, at: usize) -> bool {
        self.0[at / 64] >> (at % 64) & 1 == 1
    }

    /// What stands for each prefix of these lengths that an address lies in, the longest first; none of a text that is no address.
    pub(super) fn prefixes_of(self, text: &str) -> impl Iterator<Item = u64> {
        let address: Option<IpAddr> = text.parse().ok();
        let address = address.map(|address| address.to_canonical());
        address.into_iter().flat_map(move |address| {
            let all = (0..=longest(address)).rev().map(move |bits| Prefix::of(address, bits));
            all.filter(move |prefix| self.has(prefix.length()))
                .map(Prefix::fingerprint)
        })
    }
}
