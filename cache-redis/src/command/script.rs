//! The scripts, and why each of them must be one atomic step.
//!
//! Each runs on one slot: an entry and its lease, or one tag. Each may be repeated, since a call that timed out
//! can still run later. No call that hits runs a script.
//!
//! - Whatever is not ours counts as absent: another type, other lengths, other marks.
//! - An entry is a mark, 0 or 1 (expired), and the frame. A lease is the token (16 bytes), the time of the grant
//!   (8) and whether somebody waits for its end (1). An epoch is the time (8) and random bits (8).
//! - Lua counts in doubles: times above 2^53 µs (the year 2255) are not ours.
//! - Without memory (`OOM`) a server refuses what may grow, and allows `DEL` and `PUBLISH`. Filling and granting
//!   then fail as a whole, because the first write of each is the one that is refused. Invalidating must work:
//!   what cannot be marked or written anew is deleted.

use std::sync::LazyLock;

/// A script and the name by which a server that has it runs it.
pub(crate) struct Script {
    body: LazyLock<(String, String)>,
}

impl Script {
    const fn new(make: fn() -> (String, String)) -> Self {
        Self { body: LazyLock::new(make) }
    }

    /// The text.
    pub(crate) fn text(&self) -> &str {
        &self.body.0
    }

    /// The SHA-1 of the text, in hex.
    pub(crate) fn hash(&self) -> &str {
        &self.body.1
    }
}

/// What all scripts share.
const PRELUDE: &str = r"
-- Reads, and takes what is of another type for absent. Any other error ends the script, as it would have.
local function read(command, ...)
  local answer = redis.pcall(command, ...)
  if type(answer) ~= 'table' then return answer or '' end
  if string.find(answer.err, 'WRONGTYPE') then return '' end
  return redis.call(command, ...)
end
local function has_failed(answer)
  return type(answer) == 'table' and answer.err ~= nil
end
local function now()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end
local function held(name)
  local lease = read('GET', name)
  if #lease == 25 and redis.call('PTTL', name) >= 0 then return lease end
  return ''
end
local function epoch(name)
  local bytes = read('GET', name)
  if #bytes ~= 16 then return nil end
  local micros = struct.unpack('>I8', bytes)
  if micros >= 9007199254740992 then return nil end
  return bytes, micros
end
";

macro_rules! script {
    ($(#[$doc:meta])* $name:ident, $body:literal) => {
        $(#[$doc])*
        pub(crate) static $name: Script = Script::new(|| {
            let text = format!("{PRELUDE}{}", $body);
            let hash = redis::Script::new(&text).get_hash().to_owned();
            (text, hash)
        });
    };
}

script! {
    /// Grants, or tells what stands in the way.
    ///
    /// Atomic: of two who see a free key one is granted, and who is told *held* is noted before the holder can
    /// fill, so that the fill wakes it.
    ///
    /// The grant is dated back by as much as the clocks of two servers may differ: an epoch that a slow clock dates
    /// must not be older than a grant before it.
    ///
    /// Keys: entry, lease. Arguments: token, life in ms, difference of clocks in µs, claim, and for a replacement the
    /// length and the first bytes of the frame that was seen. Answers `{1, granted at}`, `{0, remaining ms}` or `{2, entry}`.
    LEASE, r"
local token, life, claim = ARGV[1], ARGV[2], ARGV[4]
local lease = held(KEYS[2])
if string.sub(lease, 1, 16) == token then
  redis.call('PEXPIRE', KEYS[2], life)
  return {1, string.sub(lease, 17, 24)}
end
if claim ~= 'take' then
  local head = read('GETRANGE', KEYS[1], 0, 64)
  if string.byte(head) == 0 then
    local seen = claim == 'replace'
      and redis.call('STRLEN', KEYS[1]) - 1 == tonumber(ARGV[5])
      and string.sub(head, 2) == ARGV[6]
    if not seen then return {2, redis.call('GET', KEYS[1])} end
  end
  if lease ~= '' then
    if string.byte(lease, 25) == 0 then redis.call('SETRANGE', KEYS[2], 24, '\1') end
    return {0, redis.call('PTTL', KEYS[2])}
  end
end
local granted = struct.pack('>I8', now() - ARGV[3])
redis.call('SET', KEYS[2], token .. granted .. (claim == 'take' and '\1' or '\0'), 'PX', life)
return {1, granted}
"
}

script! {
    /// Lengthens the life of a lease.
    ///
    /// Atomic: between looking and lengthening the lease could become another's.
    ///
    /// Key: lease. Arguments: token and time of the grant, life in ms. Answers 1, or 0 if it is not current.
    RENEW, r"
if string.sub(held(KEYS[1]), 1, 24) ~= ARGV[1] then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
"
}

script! {
    /// Gives a lease up.
    ///
    /// Atomic: between looking and deleting the lease could become another's; and whoever waits must be told.
    ///
    /// Key: lease. Arguments: token, channel, message.
    RELEASE, r"
local lease = held(KEYS[1])
if string.sub(lease, 1, 16) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
if string.byte(lease, 25) == 1 then redis.call('PUBLISH', ARGV[2], ARGV[3]) end
return 1
"
}

script! {
    /// Stores a value under a lease, and ends the lease.
    ///
    /// Atomic: this is the fence. A fill whose lease was voided between looking and storing would bring back
    /// what was invalidated. And a holder that died between storing and telling would leave waiters waiting.
    ///
    /// Keys: entry, lease. Arguments: token and time of the grant, mark and frame, life in ms, channel, message.
    /// Answers 1, or 0 if the grant is not current.
    FILL, r"
local lease = held(KEYS[2])
if string.sub(lease, 1, 24) ~= ARGV[1] then return 0 end
if ARGV[3] == '0' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
end
redis.call('DEL', KEYS[2])
if string.byte(lease, 25) == 1 then redis.call('PUBLISH', ARGV[4], ARGV[5]) end
return 1
"
}

script! {
    /// Stores the value that is there anew, under another head, and ends the lease.
    ///
    /// Atomic, for the reasons of a fill; and the value could be another's between looking and writing. It is copied within
    /// the server, and never sent.
    ///
    /// Keys: entry, lease. Arguments: token and time of the grant, the length and the first bytes of the frame that was
    /// seen, the new head, the length of the value, life in ms, channel, message. Answers 1, 0 if the grant is not current, or 2
    /// if something else is there.
    REFILL, r"
local lease = held(KEYS[2])
if string.sub(lease, 1, 24) ~= ARGV[1] then return 0 end
local stored, size = read('GET', KEYS[1]), tonumber(ARGV[5])
local mark = string.byte(stored)
if mark ~= 0 and mark ~= 1 then return 2 end
if #stored - 1 ~= tonumber(ARGV[2]) or string.sub(stored, 2, 1 + #ARGV[3]) ~= ARGV[3] then return 2 end
if #stored - 1 < size then return 2 end
if ARGV[6] == '0' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], '\0' .. ARGV[4] .. string.sub(stored, #stored - size + 1), 'PX', ARGV[6])
end
redis.call('DEL', KEYS[2])
if string.byte(lease, 25) == 1 then redis.call('PUBLISH', ARGV[7], ARGV[8]) end
return 1
"
}

script! {
    /// Removes an entry and voids its lease.
    ///
    /// Atomic: with an entry gone and its lease not, a fill could bring it back; and a process that died between
    /// the change and the message would leave others with their copies.
    ///
    /// Keys: entry, lease. Arguments: channel, message.
    INVALIDATE, r"
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('PUBLISH', ARGV[1], ARGV[2])
return 1
"
}

script! {
    /// Marks an entry as expired, shortens its life, and voids its lease.
    ///
    /// Atomic, for the reasons of an invalidation; and a fill between looking and marking would be marked.
    ///
    /// Keys: entry, lease. Arguments: how long to keep it in ms, channel, message.
    EXPIRE, r"
redis.call('DEL', KEYS[2])
local mark = string.byte(read('GETRANGE', KEYS[1], 0, 0))
if mark == 0 or mark == 1 then
  if ARGV[1] == '0' then
    redis.call('DEL', KEYS[1])
  else
    local left = redis.call('PTTL', KEYS[1])
    if left < 0 or left > tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
    if mark == 0 and has_failed(redis.pcall('SETRANGE', KEYS[1], 0, '\1')) then
      redis.call('DEL', KEYS[1])
    end
  end
end
redis.call('PUBLISH', ARGV[2], ARGV[3])
return 1
"
}

script! {
    /// Tells a tag's epoch, drawn anew if it is absent, and lets it live long enough.
    ///
    /// Atomic: of many who find it absent one draws it, or their entries would not share it; and it must not end
    /// between being read and being lengthened.
    ///
    /// Key: tag. Arguments: life in ms, eight random bytes. Answers the epoch.
    EPOCH, r"
local found = epoch(KEYS[1])
if found then
  if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
  return found
end
local drawn = struct.pack('>I8', now()) .. ARGV[2]
redis.call('SET', KEYS[1], drawn, 'PX', ARGV[1])
return drawn
"
}

script! {
    /// Gives a tag a new epoch, greater than the old one.
    ///
    /// Atomic: two invalidations at once must both move it on; and a process that died between the change and the
    /// message would leave others with the old one.
    ///
    /// Key: tag. Arguments: life in ms, eight random bytes, channel, message without the epoch. Answers the epoch.
    INVALIDATE_TAG, r"
local micros, life = now(), tonumber(ARGV[1])
local found, old = epoch(KEYS[1])
if found then
  micros = math.max(micros, old + 1)
  life = math.max(life, redis.call('PTTL', KEYS[1]))
end
local drawn = struct.pack('>I8', micros) .. ARGV[2]
if has_failed(redis.pcall('SET', KEYS[1], drawn, 'PX', string.format('%.0f', life))) then
  redis.call('DEL', KEYS[1])
end
redis.call('PUBLISH', ARGV[3], ARGV[4] .. drawn)
return drawn
"
}
