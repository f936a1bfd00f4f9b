//! What a reader of JSON or of a query says of a value that does not fit, in plain English: clients are not told the
//! names of our types, and never what they sent.

/// Says it plainly. `message` is what serde, or the parser of a number, said.
pub(crate) fn plain(message: &str) -> String {
    if let Some(rest) = message.strip_prefix("missing field ") {
        return format!("the property {rest} is missing");
    }
    if let Some(rest) = message.strip_prefix("unknown field ") {
        return match rest.split_once(", ") {
            Some((name, known)) if known.starts_with("expected") => {
                format!("{name} is not known here; known are {}", list(known))
            }
            _ => "there must be nothing here".to_owned(),
        };
    }
    if let Some((_, known)) = message.strip_prefix("unknown variant ").and_then(|rest| rest.split_once(", "))
    {
        return format!("must be one of {}", list(known));
    }
    for found in ["invalid type: ", "invalid value: ", "invalid length "] {
        if message.starts_with(found)
            && let Some((_, expected)) = message.rsplit_once(", expected ")
        {
            return format!("must be {}", thing(expected));
        }
    }
    if message.starts_with("data did not match any variant") {
        return "has none of the shapes that are allowed here".to_owned();
    }
    match message {
        "invalid digit found in string" | "cannot parse integer from empty string" => {
            "must be a whole number".to_owned()
        }
        "number too large to fit in target type" => "is a number too large".to_owned(),
        "number too small to fit in target type" => "is a number too small".to_owned(),
        "invalid float literal" | "cannot parse float from empty string" => "must be a number".to_owned(),
        "provided string was not `true` or `false`" => "must be `true` or `false`".to_owned(),
        other => other.to_owned(),
    }
}

/// The alternatives after "expected", "expected one of" or "expected `a` or `b`".
fn list(known: &str) -> String {
    let known = known.strip_prefix("expected ").unwrap_or(known);
    known.strip_prefix("one of ").unwrap_or(known).replace(" or ", ", ")
}

/// What is expected, without the names of our types.
pub(crate) fn thing(expected: &str) -> String {
    match expected {
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => "a whole number".to_owned(),
        "u8" => "a whole number from 0 to 255".to_owned(),
        "u16" => "a whole number from 0 to 65535".to_owned(),
        "u32" => "a whole number from 0 to 4294967295".to_owned(),
        "u64" | "u128" | "usize" => "a whole number, not negative".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a string" | "string" | "str" | "a borrowed string" | "String" => "a text".to_owned(),
        "a boolean" | "bool" => "`true` or `false`".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "an object".to_owned(),
        "unit" => "null".to_owned(),
        "option" => "a value or null".to_owned(),
        // "struct OrderBody", "struct OrderBody with 2 elements", "tuple struct Sku", "enum Method", …
        other if other.starts_with("struct ") || other.starts_with("internally tagged enum ") => {
            "an object".to_owned()
        }
        other if other.starts_with("tuple ") || other.starts_with("an array ") => "a list".to_owned(),
        other if other.starts_with("enum ") || other.contains(" enum ") => {
            "one of the words allowed here".to_owned()
        }
        other if other.contains("variant ") => "an object".to_owned(),
        other => other.to_owned(),
    }
}
