//! What staff upload as a picture.

use merx_catalogue::{domain::svg, pictures};
use merx_kernel::ErrorKind;

/// One file. What is taken becomes files that are taken again; a drawing can only draw.
pub fn upload(input: &[u8]) {
    match pictures::make(input) {
        Ok(made) => assert!(!made.is_empty()),
        Err(error) => assert_ne!(error.kind(), ErrorKind::Internal, "{}", error.chain()),
    }
    if svg::looks_like_svg(input)
        && let Ok(drawing) = svg::drawing(input)
    {
        let again = svg::drawing(drawing.text.as_bytes())
            .unwrap_or_else(|e| panic!("{}: {}", e.chain(), drawing.text));
        assert_eq!(again, drawing, "cleaned twice it is something else");
        let lower = drawing.text.to_ascii_lowercase();
        for word in ["<script", "<foreignobject", "<!entity", "<!doctype", "javascript:", "<iframe", "<use"] {
            assert!(!lower.contains(word), "{word} in {}", drawing.text);
        }
    }
}
