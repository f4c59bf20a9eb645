//! The versions that the program tells: of tokio, which Cargo.lock has, and of the compiler.

use std::process::Command;

fn main() {
    let lock = std::fs::read_to_string("Cargo.lock").unwrap_or_default();
    let tokio = lock
        .split("name = \"tokio\"\nversion = \"")
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .unwrap_or("of an unknown version");
    let rustc = Command::new(std::env::var("RUSTC").unwrap()).arg("--version").output().unwrap().stdout;
    let rustc = String::from_utf8(rustc).unwrap();
    let rustc = rustc.split(' ').nth(1).unwrap_or("of an unknown version");
    println!("cargo:rustc-env=VERSIONS=tokio {tokio}, rustc {rustc}");
    println!("cargo:rerun-if-changed=Cargo.lock");
}
