//! What a find is worth where it stands, and the list of those that count.

use super::fields::{Field, classify_pointer};
use super::matcher::{Found, Owner};
use super::{Hit, Kind, Strength};

/// How many places of one identifier are told for one record.
pub(super) const MAX_PLACES: usize = 16;

/// What is known of the place of a find beside its pointer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setting {
    /// Whether it is the name of a member.
    pub(super) is_key: bool,
    /// Whether the text is all of a JSON value.
    pub(super) is_whole: bool,
    /// Whether it is the value of a name-and-value pair whose name is that of a user field.
    pub(super) is_named_user: bool,
    /// Whether the developer chose the names around it.
    pub(super) is_custom: bool,
    /// Whether the record is one of the SDK's logs or a row of the export.
    pub(super) is_sdk: bool,
}

/// How sure a find is where it stands, and whether that is a user field; `None` when it does not count.
pub(super) fn worth(
    kind: Kind,
    found: Found,
    pointer: &str,
    setting: Setting,
) -> Option<(Strength, bool)> {
    let (field, is_below_properties) = classify_pointer(pointer);
    let in_user_field = !setting.is_key && (field == Field::User || setting.is_named_user);
    let is_custom = is_below_properties || setting.is_custom;
    let never_a_user = match field {
        _ if in_user_field => false,
        Field::Schema => true,
        Field::Ambiguous => setting.is_sdk,
        Field::User | Field::Properties | Field::Other => false,
    };
    let strength = match found {
        Found::Itself | Found::Token if kind == Kind::Term => Strength::Word,
        Found::Itself => Strength::Exact,
        // In doubt where it begins: no field decides about it.
        Found::Token if kind != Kind::UserId => Strength::Token,
        Found::Whole { .. } if in_user_field => Strength::Exact,
        Found::Whole { is_weak: true } => return None,
        Found::Whole { .. } | Found::Token if setting.is_key => {
            if never_a_user || matches!(field, Field::Properties | Field::User) {
                return None;
            }
            // A member's name is a string too, but it says less about a person than a value.
            Strength::Token
        }
        Found::Whole { .. } | Found::Token if never_a_user && !is_custom => return None,
        Found::Whole { .. } if never_a_user || !setting.is_whole => Strength::Token,
        Found::Whole { .. } => Strength::Exact,
        Found::Token => Strength::Token,
    };
    Some((strength, in_user_field))
}

/// A find that counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewHit<'a> {
    pub(super) owner: Owner,
    pub(super) strength: Strength,
    pub(super) pointer: &'a str,
    pub(super) depth: u8,
    pub(super) in_user_field: bool,
}

/// Adds a find, or what it says to the one that is known at its place. `false` when the identifier has too many places already.
pub(super) fn add(hits: &mut Vec<Hit>, new: NewHit<'_>) -> bool {
    let is_same =
        |hit: &Hit| hit.subject == new.owner.subject && hit.identifier == new.owner.identifier;
    let mut places = 0;
    for hit in hits.iter_mut().filter(|hit| is_same(hit)) {
        places += 1;
        if hit.pointer == new.pointer {
            hit.strength = hit.strength.min(new.strength);
            hit.depth = hit.depth.min(new.depth);
            hit.in_user_field |= new.in_user_field;
            return true;
        }
    }
    let hit = Hit {
        subject: new.owner.subject,
        identifier: new.owner.identifier,
        kind: new.owner.kind,
        strength: new.strength,
        pointer: new.pointer.to_owned(),
        depth: new.depth,
        in_user_field: new.in_user_field,
    };
    if places < MAX_PLACES {
        hits.push(hit);
        return true;
    }
    // A strong find must not get lost behind weak ones.
    let weaker = hits
        .iter_mut()
        .find(|known| is_same(known) && known.strength > hit.strength);
    if let Some(weaker) = weaker {
        *weaker = hit;
    }
    false
}
