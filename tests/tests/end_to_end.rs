//! The reference system over real connections, on the backend that the environment chooses.

use squall_fixtures as fixtures;
use squall_tests::order_flow;

#[test]
fn every_order_produced_twice_is_charged_once() {
    fixtures::test(async |fx| {
        order_flow::run(fx, 50).await?;
        Ok(())
    });
}
