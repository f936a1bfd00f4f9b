//! Compiles the asks with protox, so that no `protoc` is needed anywhere.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = [
        "accounts",
        "cart",
        "catalogue",
        "common",
        "inventory",
        "notification",
        "ordering",
        "payment",
        "shipping",
    ];
    let paths: Vec<String> = files.iter().map(|f| format!("proto/merx/{f}.proto")).collect();
    let descriptors = protox::compile(&paths, ["proto"])?;
    let out = std::path::PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("merx.fds"), prost::Message::encode_to_vec(&descriptors))?;
    let services: Vec<String> = descriptors
        .file
        .iter()
        .flat_map(|file| file.service.iter().map(|service| format!("{}.{}", file.package(), service.name())))
        .collect();
    std::fs::write(out.join("services.rs"), format!("&{services:?}"))?;
    let service_methods =
        descriptors.file.iter().flat_map(|file| &file.service).flat_map(|service| &service.method);
    let mut methods: Vec<&str> = service_methods.map(|method| method.name()).collect();
    methods.sort_unstable();
    methods.dedup();
    std::fs::write(out.join("methods.rs"), format!("&{methods:?}"))?;
    tonic_prost_build::configure().build_transport(false).compile_fds(descriptors)?;
    println!("cargo:rerun-if-changed=proto");
    Ok(())
}
