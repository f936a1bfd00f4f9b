//! Rules of e-mail addresses, countries and postal addresses.

use merx_accounts::domain::{
    address::{Address, AddressForm},
    country::Country,
    email::Email,
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn one_mailbox_is_one_name() {
    for (text, normal) in
        [("A@Example.com", "a@example.com"), (" b.c+d@x.cn ", "b.c+d@x.cn"), ("王@例子.中国", "王@例子.中国")]
    {
        assert_eq!(Email::new(text).unwrap().as_str(), normal);
    }
    let long = format!("{}@example.com", "a".repeat(65));
    let longer = format!("a@{}.com", "b".repeat(260));
    for text in [
        "", "a", "@", "a@", "@b.c", "a@b", "a b@c.de", "a@b@c.de", "a@-b.de", "a@b..de", "a@.de", "a\n@b.de",
        &long, &longer,
    ] {
        assert!(Email::new(text).is_err(), "{text}");
    }
    assert_eq!(format!("{:?}", Email::new("a@b.de").unwrap()), "[email]");
}

fn countries_are_those_of_iso_3166() {
    assert_eq!(Country::all().count(), 249);
    assert_eq!(Country::new("cn").unwrap(), Country::CN);
    for code in ["", "C", "CHN", "XX", "EU", "UK", "  ", "A E"] {
        assert!(Country::new(code).is_err(), "{code}");
    }
}

fn address(
    country: &str,
    region: &str,
    city: &str,
    postcode: &str,
    phone: &str,
) -> Result<Address, Vec<String>> {
    let mut form = json!({"country": country, "line1": "1 Main St", "recipient": "Ann", "phone": phone});
    for (name, value) in [("region", region), ("city", city), ("postcode", postcode)] {
        if !value.is_empty() {
            form[name] = json!(value);
        }
    }
    let form: AddressForm = serde_json::from_value(form).map_err(|_| vec!["form".to_owned()])?;
    Address::new(form).map_err(|e| e.fields().iter().map(|f| f.pointer.clone()).collect())
}

fn each_country_has_its_rules() {
    let (abroad, home) = ("+44 20 7946 0000", "13800138000");
    for (country, region, city, postcode, phone, wrong) in [
        ("CN", "广东省", "深圳市", "", home, &[][..]),
        ("CN", "广东省", "深圳市", "518000", "0755-12345678", &[]),
        ("CN", "广东省", "深圳市", "5180001", home, &["/postcode"]),
        ("CN", "", "深圳市", "", home, &["/region"]),
        ("CN", "广东省", "深圳市", "", "12800138000", &["/phone"]),
        ("CN", "广东省", "深圳市", "", "+86 138 0013 8000", &[]),
        ("US", "CA", "Palo Alto", "94301", abroad, &[]),
        ("US", "CA", "Palo Alto", "94301-1234", abroad, &[]),
        ("US", "", "Palo Alto", "9430", abroad, &["/region", "/postcode"]),
        ("GB", "", "London", "sw1a 1aa", abroad, &[]),
        ("GB", "", "London", "SW1A1AA", abroad, &["/postcode"]),
        ("GB", "", "London", "", abroad, &["/postcode"]),
        ("HK", "", "", "", "+852 2123 4567", &[]),
        ("SG", "", "", "018956", "+65 6123 4567", &[]),
        ("JP", "東京都", "渋谷区", "150-0001", "+81 3 1234 5678", &[]),
        ("DE", "", "Berlin", "10117", "030 1234567", &[]),
        ("DE", "", "", "10117", "030 1234567", &["/city"]),
        ("NL", "", "Delft", "2611 ab", abroad, &[]),
        ("KE", "", "Nairobi", "", "0712 345678", &[]),
        ("KE", "", "Nairobi", "ÄÖ", "0712 345678", &["/postcode"]),
        ("KE", "", "Nairobi", "", "1234567890123456", &["/phone"]),
        ("KE", "", "Nairobi", "", "++12345", &["/phone"]),
        ("KE", "", "Nairobi", "", "- - - - -", &["/phone"]),
    ] {
        let result = address(country, region, city, postcode, phone);
        let pointers = result.map(|_| Vec::new()).unwrap_or_else(|pointers| pointers);
        assert_eq!(pointers, wrong, "{country} {region} {city} {postcode} {phone}");
    }
}

fn values_come_into_their_normal_form() {
    let form = address("GB", "", "London", "sw1a 1aa", "+44 (20) 7946-0000").unwrap().form().clone();
    let form: Value = serde_json::to_value(form).unwrap();
    assert_eq!(form["postcode"], "SW1A 1AA");
    assert_eq!(form["phone"], "+442079460000");
    assert!(form.get("region").is_none());
}

fn a_label_reads_as_in_its_country() {
    let label = address("US", "CA", "Palo Alto", "94301", "+1 650 555 0100").unwrap().label();
    assert_eq!(label, ["Ann", "1 Main St", "Palo Alto CA 94301", "US", "+16505550100"]);
    // A municipality is not said twice; an address in China written in Latin letters reads the other way round.
    let form = json!({"country": "CN", "region": "北京市", "city": "北京市", "line1": "朝阳区1号", "recipient": "王", "phone": "13800138000"});
    let label = Address::new(serde_json::from_value(form).unwrap()).unwrap().label();
    assert_eq!(label, ["CN", "北京市 朝阳区1号", "王 13800138000"]);
    let label = address("CN", "Guangdong", "Shenzhen", "518000", "13800138000").unwrap().label();
    assert_eq!(label, ["Ann", "1 Main St", "Shenzhen Guangdong 518000", "CN", "13800138000"]);
}

proptest! {
    fn whatever_is_accepted_is_accepted_again_unchanged(postcode in "[A-Za-z0-9 -]{0,12}", phone in "\\+?[0-9 ().-]{5,20}") {
        for country in ["CN", "US", "GB", "KE"] {
            if let Ok(first) = address(country, "R", "C", postcode.trim(), phone.trim()) {
                let second = Address::new(first.form().clone());
                prop_assert!(second.is_ok_and(|second| second == first));
            }
        }
    }

    fn any_text_is_judged_without_a_panic(text in ".{0,300}") {
        let _ = Email::new(&text);
        let _ = Country::new(&text);
    }
}

pub fn trials() -> Vec<libtest_mimic::Trial> {
    crate::trials!("domain": one_mailbox_is_one_name, countries_are_those_of_iso_3166, each_country_has_its_rules, values_come_into_their_normal_form, a_label_reads_as_in_its_country, whatever_is_accepted_is_accepted_again_unchanged, any_text_is_judged_without_a_panic; waiting )
}
