use merx_alipay::Params;
use proptest::{collection::btree_map, test_runner::Config, test_runner::TestRunner};

pub fn a_form_comes_back_as_it_was() {
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(500) });
    let pairs = btree_map("[a-zA-Z_][a-zA-Z0-9_.-]{0,12}", ".{0,20}", 0..12);
    runner
        .run(&pairs, |pairs| {
            let params = pairs.iter().fold(Params::new(), |p, (name, value)| p.with(name, value));
            assert_eq!(Params::from_form(params.to_form().as_bytes()).unwrap(), params);
            Ok(())
        })
        .unwrap();
    let plus = Params::from_form("a=x+y&b=%E8%8C%B6&c&&d=1=2".as_bytes()).unwrap();
    assert_eq!(plus.iter().collect::<Vec<_>>(), [("a", "x y"), ("b", "茶"), ("c", ""), ("d", "1=2")]);
}

pub fn what_is_ambiguous_is_refused() {
    let cases: [&[u8]; 9] =
        [b"a=1&a=1", b"a=1&%61=2", b"a%3D1=2", b"a%26b=2", b"=2", b"a=%", b"a=%4", b"a=%FF%FE", b"a=\xff"];
    for form in cases {
        let error = Params::from_form(form).expect_err(&String::from_utf8_lossy(form));
        assert!(error.is("alipay.form_invalid"), "{error}");
    }
}

pub fn limits_are_named() {
    let many: String = (0..=Params::COUNT_MAX).map(|n| format!("p{n}=1&")).collect();
    assert!(Params::from_form(many.as_bytes()).unwrap_err().message().contains("100 parameters"));
    let long = format!("a={}", "x".repeat(Params::BYTES_MAX));
    assert!(Params::from_form(long.as_bytes()).unwrap_err().message().contains("65536"));
}
