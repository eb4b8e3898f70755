//! Sets of fingerprints that stay small: exact up to a limit, beyond it a sketch that tells how many there are, about.
//!
//! The sketch is HyperLogLog (Flajolet, Fusy, Gandouet, Meunier, 2007) with 64 registers of 4 bits, and linear counting
//! (Whang, Vander-Zanden, Taylor, 1990) while registers are empty.

/// A set keeps so many fingerprints exactly.
pub(crate) const EXACT_MAX: usize = 16;
/// Registers of a sketch.
pub(crate) const REGISTERS: usize = 64;
/// What a register holds at most: 4 bits.
pub(crate) const RANK_MAX: u8 = 15;
/// Three standard errors of a sketch's estimate, as a share of it: 3 × 0.147, the greatest standard error of either
/// estimator at 64 registers.
pub(crate) const ERROR_SHARE: f64 = 0.45;

/// Bits of a fingerprint that choose the register.
const INDEX_BITS: u32 = 6;
/// HyperLogLog's constant for 64 registers.
const ALPHA: f64 = 0.709;

/// How many distinct fingerprints there are, about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sketch(pub(crate) [u8; REGISTERS]);

impl Default for Sketch {
    fn default() -> Self {
        Self([0; REGISTERS])
    }
}

impl Sketch {
    pub(crate) fn insert(&mut self, fingerprint: u32) {
        let (register, rank) = place(fingerprint);
        if let Some(kept) = self.0.get_mut(register) {
            *kept = rank.max(*kept);
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (kept, rank) in self.0.iter_mut().zip(other.0) {
            *kept = rank.max(*kept);
        }
    }

    /// `false`: the fingerprint was surely never inserted.
    pub(crate) fn may_hold(&self, fingerprint: u32) -> bool {
        let (register, rank) = place(fingerprint);
        self.0.get(register).is_some_and(|kept| *kept >= rank)
    }

    /// The estimate.
    pub(crate) fn count(&self) -> u32 {
        let registers = REGISTERS as f64;
        let empty = self.0.iter().filter(|rank| **rank == 0).count();
        let sum: f64 = self.0.iter().map(|rank| 1.0 / f64::from(1_u32 << rank)).sum();
        let estimate = ALPHA * registers * registers / sum;
        let estimate = if estimate <= 2.5 * registers && empty > 0 {
            registers * libm::log(registers / empty as f64)
        } else {
            estimate
        };
        // At most 0.709 × 64 × 2¹⁵.
        libm::round(estimate) as u32
    }
}

/// The register of a fingerprint and its rank there: the place of its first 1 among the other bits, from 1.
fn place(fingerprint: u32) -> (usize, u8) {
    let mixed = mix(fingerprint);
    let rank = ((mixed >> INDEX_BITS) | 1 << (u32::BITS - INDEX_BITS)).trailing_zeros() + 1;
    // 6 bits and at most 27 fit.
    ((mixed & (REGISTERS as u32 - 1)) as usize, (rank as u8).min(RANK_MAX))
}

/// MurmurHash3's finalizer: near numbers (countries) are spread as far as hashes are. Persisted: never change it.
const fn mix(fingerprint: u32) -> u32 {
    let mut mixed = fingerprint;
    mixed ^= mixed >> 16;
    mixed = mixed.wrapping_mul(0x85EB_CA6B);
    mixed ^= mixed >> 13;
    mixed = mixed.wrapping_mul(0xC2B2_AE35);
    mixed ^ (mixed >> 16)
}

/// A set of fingerprints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Distinct {
    /// All of them, ascending, at most [`EXACT_MAX`].
    Exact(Vec<u32>),
    /// Too many to keep.
    Sketch(Box<Sketch>),
}

impl Default for Distinct {
    fn default() -> Self {
        Self::Exact(Vec::new())
    }
}

impl Distinct {
    pub(crate) fn insert(&mut self, fingerprint: u32) {
        match self {
            Self::Sketch(sketch) => sketch.insert(fingerprint),
            Self::Exact(kept) => {
                let Err(at) = kept.binary_search(&fingerprint) else {
                    return;
                };
                if kept.len() < EXACT_MAX {
                    kept.insert(at, fingerprint);
                } else {
                    let mut sketch = Sketch::default();
                    kept.iter().for_each(|kept| sketch.insert(*kept));
                    sketch.insert(fingerprint);
                    *self = Self::Sketch(Box::new(sketch));
                }
            }
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        match other {
            Self::Exact(fingerprints) => fingerprints.iter().for_each(|fingerprint| self.insert(*fingerprint)),
            Self::Sketch(theirs) => {
                let mut merged = (**theirs).clone();
                match self {
                    Self::Sketch(ours) => merged.merge(ours),
                    Self::Exact(ours) => ours.iter().for_each(|fingerprint| merged.insert(*fingerprint)),
                }
                *self = Self::Sketch(Box::new(merged));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::fingerprint32;

    fn fingerprint(number: u32) -> u32 {
        fingerprint32(&format!("merchant-{number}"))
    }

    #[test]
    fn a_set_is_exact_up_to_its_limit_and_a_sketch_beyond() {
        let mut set = Distinct::default();
        for number in (0..16).chain(0..16) {
            set.insert(fingerprint(number));
        }
        assert!(matches!(&set, Distinct::Exact(kept) if kept.len() == 16 && kept.is_sorted()));
        set.insert(fingerprint(16));
        assert!(matches!(&set, Distinct::Sketch(sketch) if (0..17).all(|number| sketch.may_hold(fingerprint(number)))));
    }

    #[test]
    fn a_merge_is_what_one_set_would_have_become() {
        for (left, right) in [(5, 9), (12, 3), (16, 40), (300, 2), (500, 500)] {
            let (mut a, mut b, mut whole) = (Distinct::default(), Distinct::default(), Distinct::default());
            for number in 0..left {
                a.insert(fingerprint(number));
                whole.insert(fingerprint(number));
            }
            for number in left / 2..left / 2 + right {
                b.insert(fingerprint(number));
                whole.insert(fingerprint(number));
            }
            a.merge(&b);
            assert_eq!(a, whole, "{left} and {right}");
        }
    }

    #[test]
    fn an_estimate_is_off_by_more_than_three_standard_errors_once_in_two_hundred_times_at_most() {
        let (mut off, mut runs) = (0, 0);
        for count in [17, 40, 100, 160, 200, 1_000, 20_000] {
            for run in 0..200 {
                let mut sketch = Sketch::default();
                (0..count).for_each(|number| sketch.insert(fingerprint(run * 1_000_000 + number)));
                let estimate = f64::from(sketch.count());
                off += u32::from((estimate - f64::from(count)).abs() > ERROR_SHARE * estimate);
                runs += 1;
            }
        }
        assert!(off * 200 <= runs, "{off} of {runs}");
    }
}
