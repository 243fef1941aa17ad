//! The program `squall`, with the reference systems. All of it is the library's; see `squall::cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    squall::cli::main(squall::service::Services::builtin())
}
