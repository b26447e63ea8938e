-- Invalidates for Larder, from any language: an entry, a tag, a function, or everything under a prefix.
--
--   EVAL <this text> 1 <name> [<random>]
--
-- <name> is what Larder calls it in Redis; with the prefix `shop`:
--
--   shop:t:{restaurant:42}          every entry that bears the tag `restaurant:42`
--   shop:e:{menu_of:v0:42}          one entry, by the text of its key
--   shop:f:{shop::menus::menu_of}   every entry of a function, by its whole path, or its `name = ".."`
--   shop:a-:{-}                     everything under the prefix
--
-- An empty text, and one that begins with `}`, is written `shop:t-:{-` text `}`: a cluster hashes what stands between
-- the first braces, and that must not be nothing.
--
-- It does what Larder does, in one atomic step on one slot, whether a process of the application runs or not: an entry goes
-- together with its lease, so that a value that is being computed is not stored; a tag, a function and everything get a new
-- epoch, so that what bears the old one is never served again. And it tells the processes that run, whose local tiers
-- follow within milliseconds. Answers 1. Invalidating twice does no harm, so whoever is not sure repeats it.
--
-- <random> is any text of 16 bytes or more that nobody can guess, like a UUID. It is best given, and not needed: the epoch is
-- the server's time and bits of a digest over all that the script knows, since scripts have no true randomness.

local OUTSIDE = string.rep('\0', 8)
-- The life of an epoch that nobody needs yet, in ms. Whoever needs it for longer lengthens it.
local LIFE = 60000

-- Whether a text is UTF-8, as all texts of Larder are: letters of several bytes are put aside, and ASCII is left.
local function is_utf8(text)
  for _, letter in ipairs({
    '[\194-\223][\128-\191]',
    '\224[\160-\191][\128-\191]',
    '[\225-\236\238\239][\128-\191][\128-\191]',
    '\237[\128-\159][\128-\191]',
    '\240[\144-\191][\128-\191][\128-\191]',
    '[\241-\243][\128-\191][\128-\191][\128-\191]',
    '\244[\128-\143][\128-\191][\128-\191]',
  }) do
    text = string.gsub(text, letter, '.')
  end
  return not string.find(text, '[\128-\255]')
end

local prefix, letter, dash, braced = string.match(KEYS[1] or '', '^([A-Za-z0-9_./-]+):([aeft])(%-?):{(.*)}$')
local text = braced
if dash == '-' then
  text = string.match(braced, '^%-(.*)$')
end
local has_dash = text ~= nil and (text == '' or string.sub(text, 1, 1) == '}')
if text == nil or #KEYS ~= 1 or #prefix > 64 or not is_utf8(text) or has_dash ~= (dash == '-') or (letter == 'a' and text ~= '') then
  return redis.error_reply('ERR no name of Larder: write one key, like shop:t:{menu} for a tag, shop:e:{menu_of:v0:42} '
    .. 'for an entry, shop:f:{menu_of} for a function, or shop:a-:{-} for everything under the prefix shop')
end

if letter == 'e' then
  redis.call('DEL', KEYS[1], prefix .. ':l' .. dash .. ':{' .. braced .. '}')
  redis.call('PUBLISH', prefix .. ':b', '\1i' .. OUTSIDE .. text)
  return 1
end

local time = redis.call('TIME')
local micros, life = time[1] * 1000000 + time[2], LIFE
local found = redis.pcall('GET', KEYS[1])
if type(found) == 'table' then
  if not string.find(found.err, 'WRONGTYPE') then return found end
  found = ''
end
if found and #found == 16 then
  local old = struct.unpack('>I8', found)
  -- Lua counts in doubles: what is beyond is not ours, and counts as absent.
  if old < 9007199254740992 then
    micros = math.max(micros, old + 1)
    life = math.max(life, redis.call('PTTL', KEYS[1]))
  end
end
local known = { ARGV[1] or '', KEYS[1], string.format('%.0f', micros), found or '', tostring({}) }
local digest = string.sub(redis.sha1hex(table.concat(known, '\n')), 1, 16)
local random = string.gsub(digest, '%x%x', function(byte) return string.char(tonumber(byte, 16)) end)
local epoch = struct.pack('>I8', micros) .. random
local set = redis.pcall('SET', KEYS[1], epoch, 'PX', string.format('%.0f', life))
-- A server without memory refuses to write, and not to delete: an absent epoch fits no entry, either.
if type(set) == 'table' and set.err then
  redis.call('DEL', KEYS[1])
end
redis.call('PUBLISH', prefix .. ':b', '\1t' .. OUTSIDE .. letter .. text .. epoch)
return 1
