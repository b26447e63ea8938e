use larder::cached;

struct Secret;

#[cached(ttl = 60, tags = ["menu:{restaurant}", "{}", "{0}", "{self.id}", "open {", "close }", "{id:>w$}", 7])]
async fn menu(restaurant_id: u64, id: u64) -> u64 {
    restaurant_id + id
}

#[cached(ttl = 60, tags = "menu")]
async fn not_a_list(id: u64) -> u64 {
    id
}

#[cached(ttl = 60, tags = ["user:{token}", token], secret(token))]
async fn secret(token: &str) -> usize {
    token.len()
}

#[cached(ttl = 60, tags = ["{secret}"], key = (1))]
async fn not_display(secret: &Secret) -> u64 {
    let _ = secret;
    1
}

#[cached(ttl = 60, tags = ["user:{id.self}", "{id.99999999999999999999}", "{id.crate}", "{super}", "{id:*>w$}"])]
async fn not_fields(id: u64) -> u64 {
    id
}

#[larder::invalidates(tags = ["user:{id.self}", "{result.99999999999999999999}"])]
async fn writes(id: u64) -> u64 {
    id
}

struct Context {
    tenant: u64,
}

impl Context {
    #[cached(ttl = 60, tags = ["tenant:{self.tenant}", format!("{}", self.tenant)], skip(self))]
    async fn of_whoever_computed_it(&self, id: u64) -> u64 {
        self.tenant + id
    }
}

#[cached(ttl = 60, tags = ["tenant:{ctx.tenant}", "{a}:{id}"], skip(ctx, a))]
async fn of_whoever_computed_it(ctx: &Context, (a, b): (u64, u64), id: u64) -> u64 {
    ctx.tenant + a + b + id
}

fn main() {}
