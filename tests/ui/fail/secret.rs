use larder::cached;

struct Token(String);

impl Token {
    fn expose(&self) -> &str {
        &self.0
    }
}

#[cached(ttl = 60, secret(token))]
async fn not_serialize(token: &Token) -> usize {
    token.0.len()
}

#[cached(ttl = 60, secret("token"))]
async fn text(token: &str) -> usize {
    token.len()
}

#[cached(ttl = 60, secret(&token), skip(&db))]
async fn reference(db: u64, token: &str) -> usize {
    token.len() + db as usize
}

// What the messages say to write.
#[cached(ttl = 60, secret(token), key = token.expose())]
async fn exposed(token: &Token) -> usize {
    token.0.len()
}

#[cached(ttl = 60, secret(token), key = (token.expose(), id))]
async fn exposed_beside(token: &Token, id: usize) -> usize {
    token.0.len() + id
}

fn main() {}
