package leak

// The rules that a decision names when none of the operator's own rules decided.
const (
	RuleOwn      = "own_credential" // a key that stanch itself runs on
	RuleProtect  = "protect"        // listed in policy.protect
	RuleAccounts = "accounts"       // of an account that is not the issuer's
	RuleKey      = "key"            // the key's own setting
	RuleKeyNone  = "key_none"       // the key's own setting is none
	RuleDefault  = "default"        // nobody chose
	RuleDryRun   = "dry_run"        // something would have been done
	RuleFuse     = "fuse"           // too many destructive actions in the account: held, or lowered
	RuleByHand   = "by_hand"        // no call looks the secret up or revokes it: only a person can
	RuleEnabled  = "enabled"        // somebody enabled the key at its issuer after it was proved dead
	RuleUndo     = "undo"           // a person undid the action
	RuleReject   = "reject"         // a person refused the action
	RuleNotOurs  = "not_ours"       // the value works, and no issuer shows us the key
	RuleJoined   = "joined"         // the other half of a credential whose incident goes on
	RuleHidden   = "hidden"         // an issuer has a key of this value perhaps, and does not show it to us
)

// BuiltInRules lists the names that no rule of the operator's may have.
var BuiltInRules = []string{
	RuleOwn, RuleProtect, RuleAccounts, RuleKey, RuleKeyNone, RuleDefault, RuleDryRun, RuleFuse, RuleByHand, RuleEnabled,
	RuleUndo, RuleReject, RuleNotOurs, RuleHidden, RuleJoined,
}
