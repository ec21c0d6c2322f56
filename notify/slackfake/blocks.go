package slackfake

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// The documented limits of blocks: https://docs.slack.dev/reference/block-kit/blocks.
const (
	maxBlocks   = 50
	maxHeader   = 150  // characters of a header
	maxSection  = 3000 // characters of a section's text
	maxElements = 10   // of a context
	// maxAll is how many characters all blocks may have. It is not documented; 9,597 were taken and 11,341 refused:
	// https://github.com/slackapi/bolt-js/issues/2867.
	maxAll = 9597
)

// Block is a block of a message, or an element of one, with the fields of all kinds that are known here.
type Block struct {
	Type     string    `json:"type"`
	Text     any       `json:"text"` // an object in header and section, a string in rich text
	URL      string    `json:"url"`
	Style    Style     `json:"style"`
	Elements []Element `json:"elements"`
}

// Element is what a block holds.
type Element = Block

// Style is how a text of rich text looks.
type Style struct {
	Bold bool `json:"bold"`
	Code bool `json:"code"`
}

// check says what Slack would answer to such blocks.
func check(blocks []Block) string {
	if len(blocks) > maxBlocks {
		return "invalid_blocks"
	}
	all := 0
	for _, b := range blocks {
		if !b.valid() {
			return "invalid_blocks"
		}
		all += b.length()
	}
	if all > maxAll {
		return "msg_blocks_too_long"
	}
	return ""
}

func (b Block) valid() bool {
	n := b.length()
	switch b.Type {
	case "header":
		return b.kind() == "plain_text" && n > 0 && n <= maxHeader
	case "section":
		return n > 0 && n <= maxSection
	case "context":
		return len(b.Elements) > 0 && len(b.Elements) <= maxElements
	case "rich_text", "rich_text_section":
		for _, e := range b.Elements {
			if !e.valid() {
				return false
			}
		}
		return len(b.Elements) > 0
	case "text", "plain_text":
		return n > 0
	case "link":
		return b.URL != ""
	}
	return false
}

// kind is the type of the text object of a block.
func (b Block) kind() string {
	object, _ := b.Text.(map[string]any)
	kind, _ := object["type"].(string)
	return kind
}

// words are the text of a block itself.
func (b Block) words() string {
	if text, ok := b.Text.(string); ok {
		return text
	}
	object, _ := b.Text.(map[string]any)
	text, _ := object["text"].(string)
	return text
}

func (b Block) length() int {
	n := utf8.RuneCountInString(b.words())
	for _, e := range b.Elements {
		n += e.length()
	}
	return n
}

// literal are the characters that Slack's markup begins with, where they are none.
var literal = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// shown is a block as it is read.
func (b Block) shown() string {
	text := literal.Replace(b.words())
	switch {
	case b.kind() == "mrkdwn":
		text = b.words() // in which everything is markup that looks like it
	case b.Type == "link":
		text += b.URL
	case b.Style.Code:
		text = "`" + text + "`"
	}
	for _, e := range b.Elements {
		text += e.shown()
	}
	return text
}

// String is a block for the messages of tests.
func (b Block) String() string { return fmt.Sprintf("%s(%s)", b.Type, b.shown()) }
