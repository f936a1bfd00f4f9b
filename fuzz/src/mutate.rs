//! Seeded mutations of saved inputs, for `cargo test`: no coverage, but the same on every machine.

/// SplitMix64 (Steele, Lea, Flood 2014): small, seeded, good enough to pick mutations.
pub struct Dice(u64);

impl Dice {
    /// From a seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }
    /// The next number.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    /// A number below `below`, or 0.
    pub fn below(&mut self, below: usize) -> usize {
        usize::try_from(self.roll() % u64::try_from(below.max(1)).unwrap_or(1)).unwrap_or(0)
    }
    /// One of some.
    ///
    /// # Panics
    /// There is none.
    pub fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        let index = self.below(of.len());
        &of[index]
    }
}

/// What parsers stumble over, inserted whole. `fuzz.dict` tells libFuzzer the same.
const TOKENS: &[&[u8]] = &[
    b"\0",
    b"\xff\xfe",
    b"\xc0\xaf",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b"\\u0000",
    b"\\ud800",
    b"null",
    b"true",
    b"-1",
    b"-0",
    b"0.0",
    b"1e400",
    b"1e-400",
    b"9223372036854775807",
    b"9223372036854775808",
    b"-9223372036854775808",
    b"18446744073709551616",
    b"99999999999999999999999999999999999999",
    b"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    b"{\"a\":{\"a\":{\"a\":{\"a\":",
    b"\"\"",
    b"{}",
    b"[]",
    b",",
    b":",
    b"&",
    b"=",
    b"%00",
    b"%",
    b"%ff",
    b"+",
    b"../",
    b"\r\n",
    b"'",
    b"\"",
    b"2026-02-30T25:61:61Z",
    b"9999-12-31T23:59:59.999Z",
    b"-9999-01-01T00:00:00Z",
    b"CNY",
    b"0.001",
    b"99999999999999.99",
    b"\xe2\x80\xae",
    b"\xf0\x9f\x98\x80",
    b"__proto__",
    b"<!DOCTYPE x [<!ENTITY a \"b\">]>",
    b"<script>",
    b"xmlns:a=\"b\"",
];

/// The longest input made.
pub const BYTES_MAX: usize = 64 * 1024;

/// One of the saved inputs with one to eight changes.
pub fn mutated(dice: &mut Dice, saved: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut input = dice.one(saved).1.clone();
    for _ in 0..=dice.below(8) {
        change(dice, saved, &mut input);
    }
    input.truncate(BYTES_MAX);
    input
}

fn change(dice: &mut Dice, saved: &[(String, Vec<u8>)], input: &mut Vec<u8>) {
    let at = dice.below(input.len() + 1);
    let span = at..(at + 1 + dice.below(16)).min(input.len()).max(at);
    match dice.below(8) {
        0 if at < input.len() => input[at] ^= 1 << dice.below(8),
        1 if at < input.len() => input[at] = dice.roll().to_le_bytes()[0],
        2 => drop(input.splice(at..at, dice.one(TOKENS).iter().copied())),
        3 => drop(input.splice(span, dice.one(TOKENS).iter().copied())),
        4 => drop(input.drain(span)),
        5 => {
            let twice: Vec<u8> = input[span].to_vec();
            drop(input.splice(at..at, twice));
        }
        6 => number(dice, input),
        _ => {
            let other = &dice.one(saved).1;
            let from = dice.below(other.len() + 1);
            input.truncate(at);
            input.extend_from_slice(&other[from..]);
        }
    }
}

/// Puts another number in the place of one.
fn number(dice: &mut Dice, input: &mut Vec<u8>) {
    let starts: Vec<usize> = (0..input.len())
        .filter(|&i| input[i].is_ascii_digit() && (i == 0 || !input[i - 1].is_ascii_digit()))
        .collect();
    if starts.is_empty() {
        return;
    }
    let start = *dice.one(&starts);
    let digits = input[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let other = match dice.below(4) {
        0 => "0".to_owned(),
        1 => dice.roll().to_string(),
        2 => format!("-{}", dice.below(1000)),
        _ => dice.below(100).to_string(),
    };
    drop(input.splice(start..start + digits, other.into_bytes()));
}
