//! The member `links`: further ids by name.

use crate::catalogue::KeyName;
use crate::event::{LINKS_MAX, Links};
use crate::id::LinkId;
use crate::refusal::{Refusal, RefusalCode};

use super::build::{id_of, refusal};
use super::field::Field;
use super::read::{Members, Raw};

impl Members<'_> {
    /// The links of an event: none where the member is left out.
    pub(super) fn links(&self) -> Result<Links, Refusal> {
        let members = match self.get(Field::Links) {
            Raw::Absent | Raw::Null => return Ok(Links::NONE),
            Raw::Members(members) => members,
            _ => return Err(refusal(RefusalCode::MistypedField, Field::Links, "an object of ids")),
        };
        if members.len() > LINKS_MAX {
            let expected = format!("at most {LINKS_MAX} ids");
            return Err(refusal(RefusalCode::TooManyLinks, Field::Links, &expected));
        }
        let mut links = Vec::with_capacity(members.len());
        for (name, value) in members {
            let name = KeyName::new(name).ok_or_else(|| {
                let expected = "names of 1 to 16 of the characters a to z, 0 to 9 and _, a letter first";
                refusal(RefusalCode::LinkName, Field::Links, expected)
            })?;
            match value {
                Raw::Null => {}
                Raw::Text(text) => links.push((name, id_of(Field::Links, text, LinkId::new)?)),
                _ => {
                    return Err(refusal(
                        RefusalCode::MistypedField,
                        Field::Links,
                        "a string for each id",
                    ));
                }
            }
        }
        // A name that comes twice was refused with the text.
        Links::new(links).ok_or_else(|| refusal(RefusalCode::DuplicateKey, Field::Links, "each name once"))
    }
}
