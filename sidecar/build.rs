//! How the program is linked.

#[expect(
    clippy::disallowed_methods,
    reason = "how cargo speaks to a build script"
)]
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // The static program of the image is loaded at an address that changes, and so holds 25,000 addresses that move along: 0.6 MiB, all read when
    // it starts. Packed (DT_RELR, which musl reads since 1.2.4) they are a fortieth of that.
    if std::env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|env| env == "musl") {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}
