//! Takes the pages of `docs/errors` into the binary, so that the `type` of every problem leads somewhere.

use std::{env, fmt::Write as _, fs, path::Path};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pages = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../docs/errors");
    let mut names: Vec<String> = fs::read_dir(&pages)?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(".md").map(str::to_owned))
        .collect();
    names.sort();
    let mut code = String::from(
        "/// Code and page, in the order of the codes.\npub const PAGES: &[(&str, &str)] = &[\n",
    );
    for name in names {
        let path = pages.join(format!("{name}.md")).canonicalize()?;
        writeln!(code, "    ({name:?}, include_str!({:?})),", path.display().to_string())?;
    }
    code.push_str("];\n");
    fs::write(Path::new(&env::var("OUT_DIR")?).join("error_pages.rs"), code)?;
    println!("cargo:rerun-if-changed={}", pages.display());
    println!("cargo:rerun-if-changed=build.rs");
    Ok(())
}
