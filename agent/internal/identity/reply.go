package identity

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"keytender/vault"
)

// longestLife is how long a token is believed to live, whatever the reply says:
// it is asked for anew after that.
const longestLife = 365 * 24 * time.Hour

// What a reply may bring, in bytes: both are kept in memory and go to every
// caller, and servers in front of an API take headers of 8 to 32 KiB.
const (
	maxToken = 16 << 10
	maxScope = 4 << 10
)

// readGrant takes a grant from a reply, or says what is wrong with it in words
// that follow the server's name. date is the server's clock, zero if it showed
// none; the token's life counts from began, when it was asked for.
func readGrant(token *oauth2.Token, r Request, date, began, now time.Time) (g Grant, broken string) {
	access := token.AccessToken
	if access == "" || strings.ContainsFunc(access, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return Grant{}, "answered with a token that no header can carry"
	}
	if len(access) > maxToken {
		return Grant{}, "answered with a token larger than 16 KiB"
	}
	// Without token_type, which RFC 6749 §5.1 requires, only Bearer can be meant.
	if !strings.EqualFold(token.TokenType, "Bearer") && token.TokenType != "" {
		return Grant{}, "answered with a token of another type than Bearer"
	}
	scope, ok := scopeOf(token.Extra("scope"), r.Scopes)
	if !ok {
		return Grant{}, "answered with a scope that is none, or longer than 4 KiB"
	}
	life, broken := lifeOf(token, r.Lifetime, date, now)
	if broken != "" {
		return Grant{}, broken
	}
	ends := began.Add(life)
	if !ends.After(now) {
		return Grant{}, expiredReply
	}
	return Grant{Access: vault.NewSecret(access), Type: "Bearer", IssuedAt: began, ExpiresAt: ends, Scope: scope}, ""
}

const (
	expiredReply = "answered with a token that has expired already: expired reply"
	endlessReply = "does not say when its token expires"
	garbledReply = "answered with an expires_in that is no number"
)

// lifeOf is how long the token lives from now on: its expires_in, else the exp of
// a JWT, else what the profile says. Never "forever".
func lifeOf(token *oauth2.Token, configured time.Duration, date, now time.Time) (life time.Duration, broken string) {
	server := now
	if !date.IsZero() {
		server = date
	}
	exp, isJWT := expiryOf(token.AccessToken)
	left := exp - float64(server.Unix())
	switch in := token.Extra("expires_in"); {
	case in != nil && in != "":
		seconds, ok := number(in)
		if !ok {
			return 0, garbledReply
		}
		life = capped(seconds)
		// Dead by both clocks: then expires_in is wrong. One clock alone may be off.
		if isJWT && !date.IsZero() && left <= 0 && exp <= float64(now.Unix()) {
			life = 0
		}
	case isJWT:
		life = capped(left)
	case configured > 0:
		life = min(configured, longestLife)
	default:
		return 0, endlessReply
	}
	if life <= 0 {
		return 0, expiredReply
	}
	return life, ""
}

// number reads expires_in, which some quote.
func number(v any) (float64, bool) {
	switch n := v.(type) {
	case float64:
		return n, true
	case int64: // of a form-encoded reply
		return float64(n), true
	case string:
		f, err := strconv.ParseFloat(strings.TrimSpace(n), 64)
		return f, err == nil && !math.IsNaN(f)
	}
	return 0, false
}

// capped turns seconds into a duration that cannot overflow; 0 if there are none.
func capped(seconds float64) time.Duration {
	if seconds >= longestLife.Seconds() {
		return longestLife
	}
	return time.Duration(max(seconds, 0) * float64(time.Second))
}

// expiryOf reads the exp of a token that is a JWT (RFC 7519 §4.1.4), in seconds
// since 1970. Nothing is verified: the token is ours to carry, not to judge.
func expiryOf(access string) (float64, bool) {
	parts := strings.Split(access, ".")
	if len(parts) != 3 {
		return 0, false
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return 0, false
	}
	var claims struct {
		Expires *float64 `json:"exp"`
	}
	if json.Unmarshal(payload, &claims) != nil || claims.Expires == nil {
		return 0, false
	}
	return *claims.Expires, true
}

// scopeOf is the reply's scope (RFC 6749 §3.3), or what was asked where the reply
// has none: §5.1 lets it be left out when they are the same. One that is not a
// scope is no reason to take what was asked for granted.
func scopeOf(said any, asked []string) (string, bool) {
	if said == nil || said == "" {
		return strings.Join(asked, " "), true
	}
	text, ok := said.(string)
	if !ok || len(text) > maxScope {
		return "", false
	}
	foreign := func(c rune) bool { return c < ' ' || c > '~' || c == '"' || c == '\\' }
	return strings.Join(strings.Fields(text), " "), !strings.ContainsFunc(text, foreign)
}
