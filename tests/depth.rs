//! A cached function may call itself: each level takes little of the stack.

use larder::{Cache, cached};

#[cached(ttl = "1h")]
async fn down(levels: u32) -> u32 {
    if levels == 0 { 0 } else { Box::pin(down(levels - 1)).await + 1 }
}

#[cached(ttl = "1h", stagger, grace = "1h", err_ttl = 60, tags = ["levels"])]
async fn down_with_options(levels: u32) -> Result<u32, String> {
    if levels == 0 { Ok(0) } else { Ok(Box::pin(down_with_options(levels - 1)).await? + 1) }
}

#[test]
fn four_hundred_levels_fit_the_stack_of_a_worker() {
    // tokio gives its workers so much.
    let worker = std::thread::Builder::new().stack_size(2 << 20).spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let calls = async { (down(400).await, down_with_options(400).await) };
        runtime.block_on(Cache::default().scope(calls))
    });

    let told = worker.expect("a thread").join().expect("no panic");

    assert_eq!(told, (400, Ok(400)));
}
