//! The ranges of card numbers that some scheme issues. Other numbers that pass the Luhn check are no card numbers.
//!
//! By what the schemes publish about themselves: the first six digits, and how long the number is. Where a scheme's own
//! rules leave a length open, all lengths of the contract count: a range too many costs a refusal, one too few an exposure.

/// Numbers of one scheme or a few: their first six digits from, to, and their lengths from, to.
type Range = (u32, u32, usize, usize);

const RANGES: [Range; 23] = [
    // UATP.
    (100_000, 199_999, 15, 15),
    // GPN of Indonesia.
    (194_600, 194_699, 16, 19),
    // Diners Club enRoute.
    (201_400, 201_499, 15, 15),
    (214_900, 214_999, 15, 15),
    // Mir, BORICA.
    (220_000, 220_599, 16, 19),
    // Mastercard.
    (222_100, 272_099, 16, 16),
    // Diners Club, with the series that Discover issues.
    (300_000, 309_999, 14, 19),
    // T-Union.
    (310_000, 319_999, 19, 19),
    // American Express.
    (340_000, 349_999, 15, 15),
    // JCB, RuPay, LankaPay.
    (352_800, 358_999, 16, 19),
    (360_000, 369_999, 14, 19),
    (370_000, 379_999, 15, 15),
    (380_000, 399_999, 14, 19),
    // Visa, Dankort.
    (400_000, 499_999, 13, 19),
    // Maestro, Verve, RuPay, Dankort.
    (500_000, 509_999, 13, 19),
    // Mastercard.
    (510_000, 559_999, 16, 16),
    // Maestro, UzCard.
    (560_000, 589_999, 13, 19),
    // Maestro, UnionPay, Discover, RuPay, InterPayment, Troy, Verve, UkrCard.
    (600_000, 699_999, 13, 19),
    // RuPay, UnionPay.
    (810_000, 829_999, 16, 19),
    // UzCard.
    (860_000, 860_099, 16, 16),
    // Napas.
    (970_400, 970_499, 16, 19),
    // Troy.
    (979_200, 979_299, 16, 16),
    // Humo.
    (986_000, 986_099, 16, 16),
];

/// Whether some scheme issues numbers that begin like this one and are as long.
pub(super) fn is_issued(mut digits: impl ExactSizeIterator<Item = u8>) -> bool {
    let length = digits.len();
    let first: u32 = digits
        .by_ref()
        .take(6)
        .fold(0, |number, digit| number * 10 + u32::from(digit));
    RANGES.iter().any(|(low, high, shortest, longest)| {
        (*low..=*high).contains(&first) && (*shortest..=*longest).contains(&length)
    })
}
