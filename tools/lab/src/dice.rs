//! Draws from one seeded generator. Only integer and `libm` arithmetic, so a seed gives the same draws on every machine.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// Where the dice take their numbers from.
pub trait Generator {
    /// The next number of the sequence.
    fn number(&mut self) -> u64;
}

/// `ChaCha8`: a seed has many sequences that do not depend on each other, and they are the same in every release.
impl Generator for ChaCha8Rng {
    fn number(&mut self) -> u64 {
        self.next_u64()
    }
}

/// `SplitMix64`: one sequence a seed, at the cost of three multiplications.
#[derive(Clone, Debug)]
pub struct SplitMix(u64);

impl Generator for SplitMix {
    fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

/// A seeded source of draws.
#[derive(Clone, Debug)]
pub struct Dice<G = ChaCha8Rng>(G);

impl Dice {
    /// The dice of a seed; `stream` keeps independent parts independent (more cards do not move the faults).
    #[must_use]
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Self(rng)
    }
}

impl Dice<SplitMix> {
    /// The plain dice of a seed, for what needs one sequence and many draws.
    #[must_use]
    pub fn plain(seed: u64) -> Self {
        Self(SplitMix(seed))
    }
}

impl<G: Generator> Dice<G> {
    /// Any number.
    pub fn any(&mut self) -> u64 {
        self.0.number()
    }

    /// Uniform in [0, 1), 53 bits.
    #[allow(clippy::cast_precision_loss)]
    pub fn unit(&mut self) -> f64 {
        (self.any() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform in 0..`bound`; 0 when `bound` is 0.
    #[allow(clippy::cast_possible_truncation)]
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.any()) * u128::from(bound)) >> 64) as u64
    }

    /// Uniform index into a collection of `len` items.
    #[allow(clippy::cast_possible_truncation)]
    pub fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// Uniform in `low..=high`.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        low + i64::try_from(self.below(high.saturating_sub(low).max(0).unsigned_abs() + 1)).unwrap_or(0)
    }

    /// True with this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Standard normal (Box–Muller, one of the pair).
    pub fn normal(&mut self) -> f64 {
        let radius = libm::sqrt(-2.0 * libm::log(1.0 - self.unit()));
        radius * libm::cos(2.0 * std::f64::consts::PI * self.unit())
    }

    /// Exponential with this mean.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * libm::log(1.0 - self.unit())
    }

    /// An index that falls off as 1/(rank + 1): a cheap Zipf with exponent 1, by inversion of its integral.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss
    )]
    pub fn zipf(&mut self, len: usize) -> usize {
        let rank = libm::exp(self.unit() * libm::log(len as f64 + 1.0)) - 1.0;
        (rank as usize).min(len.saturating_sub(1))
    }
}
