//! JSON as Newtonsoft's serializer writes it, which .NET hosts use.

use serde_json::Value;

/// Compact JSON; line separators are escaped besides what JSON asks for.
pub(crate) fn to_text(value: &Value) -> String {
    let text = value.to_string();
    if !text.contains(['\u{85}', '\u{2028}', '\u{2029}']) {
        return text;
    }
    // These letters occur in JSON only inside of strings.
    text.replace('\u{85}', "\\u0085")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

/// A JSON string that holds JSON: how the host passes everything that is neither an object nor bytes nor a time.
pub(crate) fn doubly_encoded(value: &Value) -> Value {
    Value::String(to_text(value))
}

#[cfg(test)]
mod tests {
    use super::{doubly_encoded, to_text};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    #[test]
    fn escapes_as_newtonsoft_does() {
        let check = |value: Value, expected: &str| assert_eq!(to_text(&value), expected);
        check(json!("stringTest"), r#""stringTest""#);
        check(
            json!("a\"\\/\u{8}\u{c}\n\r\t\u{1}"),
            r#""a\"\\/\b\f\n\r\t\u0001""#,
        );
        check(json!("ü\u{2028}\u{7f}😀"), "\"ü\\u2028\u{7f}😀\"");
        check(doubly_encoded(&json!("hello!!")), r#""\"hello!!\"""#);
        check(
            doubly_encoded(&json!(r#"{"a":1}"#)),
            r#""\"{\\\"a\\\":1}\"""#,
        );
        check(doubly_encoded(&json!(1)), r#""1""#);
        check(doubly_encoded(&json!([true, null])), r#""[true,null]""#);
    }

    proptest! {
        #[test]
        fn decodes_to_what_went_in(text in ".*") {
            let wire = to_text(&doubly_encoded(&json!(text)));
            let inner: String = serde_json::from_str(&wire).expect("a JSON string");
            let back: String = serde_json::from_str(&inner).expect("a JSON string inside");
            prop_assert_eq!(back, text);
        }
    }
}
