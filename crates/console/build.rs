//! Lists the built console for the crate to embed: every file of `dist/site`, with its packed forms. Without a build the list is empty.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() -> io::Result<()> {
    let own = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    // The directory is always there, so that cargo looks again only when something changed in it.
    println!("cargo:rerun-if-changed=dist");
    let site = own.join("dist/site");
    let mut files = Vec::new();
    if site.is_dir() {
        collect(&site, &mut files)?;
    }
    files.sort();
    let mut text = String::from("&[\n");
    for file in files.iter().filter(|file| !has_ending(file, &["br", "gz"])) {
        let name = file.strip_prefix(&site).unwrap_or(file).to_string_lossy().replace('\\', "/");
        let packed = |ending: &str| {
            let other = PathBuf::from(format!("{}.{ending}", file.display()));
            if other.exists() { format!("Some(include_bytes!({other:?}))") } else { "None".to_owned() }
        };
        let (br, gz) = (packed("br"), packed("gz"));
        let _ = writeln!(text, "Asset {{ path: \"/{name}\", plain: include_bytes!({file:?}), br: {br}, gz: {gz} }},");
    }
    text.push(']');
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    fs::write(out.join("assets.rs"), text)
}

fn has_ending(file: &Path, endings: &[&str]) -> bool {
    file.extension().is_some_and(|own| endings.iter().any(|ending| own == *ending))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
