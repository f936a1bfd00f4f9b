//! Compiles the asks with protox, so that no `protoc` is needed anywhere.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files =
        ["accounts", "cart", "catalogue", "common", "inventory", "notification", "payment", "shipping"];
    let paths: Vec<String> = files.iter().map(|f| format!("proto/merx/{f}.proto")).collect();
    let descriptors = protox::compile(&paths, ["proto"])?;
    tonic_prost_build::configure().build_transport(false).compile_fds(descriptors)?;
    println!("cargo:rerun-if-changed=proto");
    Ok(())
}
