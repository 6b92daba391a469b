//! JSON of which no object names a key twice: what reads the last one only would take a document for what it is not.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::fields::{Faults, harmless};

/// Reads JSON; every key that stands twice in an object is a fault with its pointer, and its first value is kept.
///
/// # Errors
/// When it is not JSON, or nested deeper than 128 levels.
pub(crate) fn read(bytes: &[u8], faults: &mut Faults) -> Result<Value, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let node = Node {
        at: &Path::Root,
        faults: &RefCell::new(faults),
    };
    let value = node.deserialize(&mut json)?;
    json.end()?;
    Ok(value)
}

/// Where a value stands; its text is made only for a fault.
enum Path<'a> {
    Root,
    Key(&'a Self, &'a str),
    Index(&'a Self, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            // The name is the caller's own text.
            Self::Key(parent, key) => write!(f, "{parent}/{}", harmless(key)),
            Self::Index(parent, n) => write!(f, "{parent}/{n}"),
        }
    }
}

#[derive(Clone, Copy)]
struct Node<'a, 'f> {
    at: &'a Path<'a>,
    faults: &'a RefCell<&'f mut Faults>,
}

impl<'de> DeserializeSeed<'de> for Node<'_, '_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_, '_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        loop {
            let at = Path::Index(self.at, values.len());
            let node = Node {
                at: &at,
                faults: self.faults,
            };
            match access.next_element_seed(node)? {
                Some(value) => values.push(value),
                None => return Ok(Value::Array(values)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            let at = Path::Key(self.at, &key);
            let node = Node {
                at: &at,
                faults: self.faults,
            };
            let value = access.next_value_seed(node)?;
            if object.contains_key(&key) {
                let pointer = at.to_string();
                let mut faults = self.faults.borrow_mut();
                faults.add::<()>(&pointer, "stands twice in its object");
            } else {
                object.insert(key, value);
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pointers(json: &str) -> Vec<String> {
        let mut faults = Faults::default();
        read(json.as_bytes(), &mut faults).expect("it is JSON");
        faults.into_vec().into_iter().map(|it| it.pointer).collect()
    }

    #[test]
    fn a_key_that_stands_twice_is_a_fault() {
        assert_eq!(pointers(r#"{"a":1,"a":1,"b":{"a":2}}"#), ["/a"]);
        assert_eq!(pointers(r#"[{"a":[{"b":1,"\u0062":2}]}]"#), ["/0/a/0/b"]);
        assert_eq!(pointers(r#"{"ana@x.y":1,"ana@x.y":2}"#), ["/anaxy"]);
        assert_eq!(pointers(r#"[{"a":1},{"a":1}]"#), Vec::<String>::new());
    }

    #[test]
    fn what_is_no_json_is_refused() {
        let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
        for json in ["", "{", "{} {}", r#"{"a":1,}"#, "nul", &deep] {
            let read = read(json.as_bytes(), &mut Faults::default());
            assert!(read.is_err(), "{json}");
        }
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            "\\PC{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map("\\PC{0,4}", inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn other_json_is_read_as_ever(value in json()) {
            let mut faults = Faults::default();
            let is = read(value.to_string().as_bytes(), &mut faults).expect("it is JSON");
            prop_assert_eq!(is, value);
            prop_assert!(faults.into_vec().is_empty());
        }
    }
}
