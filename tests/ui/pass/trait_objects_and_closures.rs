//! Values without `Serialize` live in the local tier.
use std::sync::Arc;

#[derive(Clone)]
struct Template;

#[larder::cached(ttl = 60, tier = local)]
async fn template(name: &str) -> Result<Arc<Template>, std::io::Error> {
    let _ = std::fs::read(name)?;
    Ok(Arc::new(Template))
}

fn main() {
    let _ = template("x");
}
