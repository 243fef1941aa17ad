//! Random requests.
use crate::pair::Pair;
pub fn run(_: &mut Pair) -> Result<(), String> {
    Ok(())
}
