//! MD5 (RFC 1321), for the two places where AWS's protocols ask for it: the hash key of a Kinesis partition key, and the
//! digest of an SQS message's body. Not for anything that needs a secure hash.

const SHIFTS: [u32; 64] = [
    7, 12, 17, 22, 7, 12, 17, 22, 7, 12, 17, 22, 7, 12, 17, 22, 5, 9, 14, 20, 5, 9, 14, 20, 5, 9, 14, 20, 5, 9, 14, 20,
    4, 11, 16, 23, 4, 11, 16, 23, 4, 11, 16, 23, 4, 11, 16, 23, 6, 10, 15, 21, 6, 10, 15, 21, 6, 10, 15, 21, 6, 10, 15,
    21,
];

/// The digest of `message`.
pub(crate) fn md5(message: &[u8]) -> [u8; 16] {
    let mut state = [0x6745_2301u32, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    let mut padded = message.to_vec();
    padded.push(0x80);
    // Zeros up to eight bytes before a block's end: there goes the length in bits.
    padded.resize((message.len() + 8) / 64 * 64 + 64, 0);
    let bits = (message.len() as u64).wrapping_mul(8).to_le_bytes();
    let end = padded.len();
    padded.splice(end - 8..end, bits);
    let table = sine_table();
    for block in padded.chunks_exact(64) {
        mix(&mut state, block, &table);
    }
    let mut digest = [0u8; 16];
    for (bytes, word) in digest.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    digest
}

/// The digest in hexadecimal.
pub(crate) fn md5_hex(message: &[u8]) -> String {
    md5(message).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the standard's table: floor(2^32 * |sin(i + 1)|)"
)]
fn sine_table() -> [u32; 64] {
    std::array::from_fn(|i| (f64::from(i as u32 + 1).sin().abs() * 4_294_967_296.0) as u32)
}

fn mix(state: &mut [u32; 4], block: &[u8], table: &[u32; 64]) {
    let word = |i: usize| u32::from_le_bytes(std::array::from_fn(|j| block[i * 4 + j]));
    let [mut a, mut b, mut c, mut d] = *state;
    for i in 0..64 {
        let (f, g) = match i / 16 {
            0 => ((b & c) | (!b & d), i),
            1 => ((d & b) | (!d & c), (5 * i + 1) % 16),
            2 => (b ^ c ^ d, (3 * i + 5) % 16),
            _ => (c ^ (b | !d), (7 * i) % 16),
        };
        let sum = a.wrapping_add(f).wrapping_add(table[i]).wrapping_add(word(g));
        (a, d, c, b) = (d, c, b, b.wrapping_add(sum.rotate_left(SHIFTS[i])));
    }
    for (total, part) in state.iter_mut().zip([a, b, c, d]) {
        *total = total.wrapping_add(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digests_of_the_standard() {
        assert_eq!(md5_hex(b""), "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(md5_hex(b"message digest"), "f96b697d7cb7938d525a2f31aaf161d0");
    }

    #[test]
    fn the_length_goes_into_a_block_of_its_own_when_the_last_one_is_full() {
        for (bytes, digest) in [
            (55, "ef1772b6dff9a122358552954ad0df65"),
            (56, "3b0c8ac703f828b04c6c197006d17218"),
            (63, "b06521f39153d618550606be297466d5"),
            (64, "014842d480b571495a4a0363793f7367"),
            (119, "8a7bd0732ed6a28ce75f6dabc90e1613"),
            (120, "5f61c0ccad4cac44c75ff505e1f1e537"),
        ] {
            assert_eq!(md5_hex(&vec![b'a'; bytes]), digest, "{bytes} bytes");
        }
    }
}
