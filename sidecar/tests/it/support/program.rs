//! The program under test, where another user may run it.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The program in `directory`: another user may not be allowed to where it was built.
///
/// A link, where it can be: a file that was just written may still be open in a child of another test, and then it cannot be run.
/// What is there already is left alone, since it may be a link to what was built.
pub(crate) fn program_in(directory: &Path) -> PathBuf {
    let (built, program) = (env!("CARGO_BIN_EXE_postern"), directory.join("postern"));
    if !program.exists() {
        fs::hard_link(built, &program)
            .or_else(|_| fs::copy(built, &program).map(drop))
            .unwrap();
    }
    program
}
