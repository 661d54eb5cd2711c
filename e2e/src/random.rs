//! Names and keys that nobody else has.

use std::{fs::File, io::Read};

use anyhow::Result;

/// Thirty-two hexadecimal digits that nobody else has.
pub fn random() -> Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
