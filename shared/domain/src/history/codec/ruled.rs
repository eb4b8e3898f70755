//! What rules said of an entry, as it is written and read: their words once a state or segment, and an index for each time.

use std::sync::Arc;

use crate::history::bits::{BitReader, BitWriter, index_bits};
use crate::history::error::{CodecError, InvalidState};
use crate::outcome::{RuleEnd, RuleHit, RuleSays};

use super::fields::get_index;
use super::format::{CHARACTER_BITS, Context, RULE_END_BITS, RULE_NAME_BITS, RULE_REASON_BITS, RULES_BITS};

pub(super) fn put_rules(bits: &mut BitWriter<'_>, context: &mut Context, rules: &[RuleHit]) {
    bits.put(rules.len() as u64, RULES_BITS);
    for RuleHit { says, end } in rules {
        let known = context.says.len();
        let index = context.says.iter().position(|other| other == says).unwrap_or(known);
        bits.put(index as u64, index_bits(known + 1));
        bits.put(u64::from(end.number()), RULE_END_BITS);
        if index == known {
            bits.put(says.name().len() as u64 - 1, RULE_NAME_BITS);
            let name = says.name().bytes();
            name.for_each(|byte| bits.put(u64::from(byte), CHARACTER_BITS));
            bits.put(says.reason().len() as u64 - 1, RULE_REASON_BITS);
            let reason = says.reason().bytes();
            reason.for_each(|byte| bits.put(u64::from(byte), 8));
            context.says.push(Arc::clone(says));
        }
    }
}

pub(super) fn get_rules(bits: &mut BitReader<'_>, context: &mut Context) -> Result<Vec<RuleHit>, CodecError> {
    let count = bits.get(RULES_BITS)?;
    (0..count)
        .map(|_| {
            let index = get_index(bits, context.says.len())?;
            let number = bits.get(RULE_END_BITS)?;
            // 3 bits fit.
            let end = RuleEnd::from_number(number as u8).ok_or(CodecError::UnknownNumber {
                what: "the end of a rule",
                number,
            })?;
            let says = match context.says.get(index) {
                Some(says) => Arc::clone(says),
                None => {
                    let says = Arc::new(get_says(bits)?);
                    if context.says.contains(&says) {
                        return Err(InvalidState::Spelling.into());
                    }
                    context.says.push(Arc::clone(&says));
                    says
                }
            };
            Ok(RuleHit { says, end })
        })
        .collect()
}

fn get_says(bits: &mut BitReader<'_>) -> Result<RuleSays, CodecError> {
    let name = get_text(bits, RULE_NAME_BITS, CHARACTER_BITS)?;
    let reason = get_text(bits, RULE_REASON_BITS, 8)?;
    RuleSays::new(&name, &reason).ok_or(InvalidState::Rules.into())
}

fn get_text(bits: &mut BitReader<'_>, length_bits: u32, byte_bits: u32) -> Result<String, CodecError> {
    let length = bits.get(length_bits)? + 1;
    // At most 8 bits a byte.
    let bytes = (0..length).map(|_| Ok(bits.get(byte_bits)? as u8));
    let bytes = bytes.collect::<Result<Vec<u8>, CodecError>>()?;
    String::from_utf8(bytes).map_err(|_| InvalidState::Rules.into())
}
