//! An SVG that is kept can only draw.

use libtest_mimic::Trial;
use merx_catalogue::domain::svg::{SVG_BYTES_MAX, drawing, looks_like_svg};

pub fn trials() -> Vec<Trial> {
    crate::trials!("svg": drawings_pass, programs_do_not, what_is_kept_is_written_by_us, bombs_are_refused)
}

fn wrap(inner: &str) -> String {
    format!(r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 320 240">{inner}</svg>"#)
}

fn drawings_pass() {
    let drawn = [
        r##"<rect width="10" height="10" fill="#0a0" transform="rotate(45)"/>"##,
        r#"<defs><linearGradient id="g"><stop offset="0" stop-color="red"/></linearGradient></defs><circle cx="5" cy="5" r="4" fill="url(#g)"/>"#,
        r#"<clipPath id="c"><path d="M0 0h9v9z"/></clipPath><g clip-path="url('#c')"><text x="1" y="9" font-family="serif">茶 &amp; tea</text></g>"#,
        "<title>Tea</title><!-- dropped --><desc>cup</desc>",
    ];
    for inner in drawn {
        let made = drawing(wrap(inner).as_bytes()).unwrap_or_else(|e| panic!("{inner}: {e}"));
        assert_eq!((made.width, made.height), (320, 240));
        assert!(
            drawing(made.text.as_bytes()).is_ok_and(|again| again == made),
            "written again it is the same"
        );
    }
    let pixels =
        r#"<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="12.2px" height="7"/>"#;
    let made = drawing(pixels.as_bytes()).unwrap();
    assert_eq!((made.width, made.height), (13, 7));
}

fn programs_do_not() {
    let inner = [
        "<script>alert(1)</script>",
        r#"<rect onload="alert(1)"/>"#,
        r#"<rect ONCLICK="alert(1)"/>"#,
        "<foreignObject><body/></foreignObject>",
        r#"<image href="https://evil.example/x.png"/>"#,
        r#"<image xlink:href="x" xmlns:xlink="http://www.w3.org/1999/xlink"/>"#,
        r##"<use href="#a"/>"##,
        r#"<a href="javascript:alert(1)"><text>x</text></a>"#,
        "<style>@import url(https://evil.example)</style>",
        r#"<rect style="fill:url(https://evil.example)"/>"#,
        r#"<rect fill="url(https://evil.example#x)"/>"#,
        r#"<rect fill="URL( 'https://evil.example#x' )"/>"#,
        r#"<rect fill="red url(#x)"/>"#,
        r#"<rect width="url(#x)"/>"#,
        r#"<rect fill="\75rl(x)"/>"#,
        r#"<rect fill="url(data:image/svg+xml,x)"/>"#,
        r#"<animate attributeName="href" to="javascript:alert(1)"/>"#,
        r#"<set attributeName="onload" to="x"/>"#,
        r#"<filter id="f"><feImage href="x"/></filter>"#,
        r#"<pattern id="p"/>"#,
        r#"<h:script xmlns:h="http://www.w3.org/1999/xhtml">x</h:script>"#,
        r#"<rect xmlns="http://www.w3.org/1999/xhtml"/>"#,
        "<?xml-stylesheet href='x'?>",
        r#"<rect class="x"/>"#,
        r#"<rect data-x="1"/>"#,
        r#"<text xml:base="https://evil.example">x</text>"#,
        "<iframe/>",
        "<video/>",
    ];
    for inner in inner {
        let error = drawing(wrap(inner).as_bytes()).expect_err(inner);
        assert!(error.is("catalogue.picture_refused"), "{inner}: {error}");
    }
    let whole = [
        "<html/>",
        "<svg/>",
        r#"<svg xmlns="http://www.w3.org/2000/svg"/>"#,
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 0 9"/>"#,
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 99999"/>"#,
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 NaN 9"/>"#,
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9" onload="x"/>"#,
        r#"<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><text>&x;</text></svg>"#,
        "<svg",
        "",
    ];
    for text in whole {
        assert!(drawing(text.as_bytes()).is_err(), "{text}");
    }
    assert!(
        drawing(b"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 9 9\"><title>\xff</title></svg>")
            .is_err()
    );
}

fn what_is_kept_is_written_by_us() {
    let text = wrap("<text>&lt;script&gt;&#x26;amp;</text><!--<script>-->");
    let made = drawing(text.as_bytes()).unwrap();
    assert!(made.text.contains("<text>&lt;script&gt;&amp;amp;</text>"), "{}", made.text);
    assert!(!made.text.contains("<!--"));
    assert!(looks_like_svg(b"\xef\xbb\xbf  <?xml?><svg>") && !looks_like_svg(b"GIF89a<svg"));
}

fn bombs_are_refused() {
    let deep = wrap(&("<g>".repeat(60) + &"</g>".repeat(60)));
    assert!(drawing(deep.as_bytes()).is_err());
    let very_deep = wrap(&("<g>".repeat(15_000) + &"</g>".repeat(15_000)));
    assert!(drawing(very_deep.as_bytes()).is_err());
    let wide = wrap(&"<g/>".repeat(25_000));
    assert!(drawing(wide.as_bytes()).is_err());
    let long = wrap(&" ".repeat(SVG_BYTES_MAX));
    assert!(drawing(long.as_bytes()).is_err());
    let laughs =
        r#"<!DOCTYPE l [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]>"#.to_owned() + &wrap("<title>&b;</title>");
    assert!(drawing(laughs.as_bytes()).is_err());
    // Each element inherits every namespace, and looks each up among the others: two hundred kilobytes of both would be
    // an hour's work and half a gigabyte.
    let names = |count: usize| (0..count).map(|n| format!(r#" xmlns:n{n}="u""#)).collect::<String>();
    let within = |names: &str, inner: &str| {
        format!(r#"<svg xmlns="http://www.w3.org/2000/svg"{names} viewBox="0 0 9 9">{inner}</svg>"#)
    };
    assert!(drawing(within(&names(12), "<g/>").as_bytes()).is_ok(), "as drawing programs write it");
    assert!(drawing(within(&names(100), "<g/>").as_bytes()).is_err());
    assert!(drawing(within("", &r#"<g xmlns:a="u"/>"#.repeat(100)).as_bytes()).is_err());
    let both = within(&names(12_000), &r#"<g xmlns:a="u"/>"#.repeat(12_000));
    assert!(both.len() < SVG_BYTES_MAX && drawing(both.as_bytes()).is_err());
    // Each attribute is looked up among the element's others.
    let attributes: String = (0..40_000).map(|n| format!(r#" a{n}="""#)).collect();
    let error = drawing(wrap(&format!("<g{attributes}/>")).as_bytes()).unwrap_err();
    assert!(error.message().contains("at most"), "{error}");
}
