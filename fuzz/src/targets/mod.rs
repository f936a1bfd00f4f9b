//! The targets, by what they read.

pub mod alipay;
pub mod config;
pub mod events;
pub mod json;
pub mod pictures;
pub mod shop;
pub mod tokens;
pub mod values;
pub mod webhooks;

/// The input as text; bytes that are none are refused before any parser of texts.
fn text(input: &[u8]) -> Option<&str> {
    std::str::from_utf8(input).ok()
}
