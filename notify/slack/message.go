package slack

import (
	"strings"

	api "github.com/slack-go/slack"

	"stanch/notify"
	"stanch/notify/channel"
)

const (
	// maxHeader is how many characters Slack takes in a header block.
	maxHeader = 150
	// maxFallback bounds the text that lock screens and screen readers show instead of the blocks.
	maxFallback = 1000
	// maxFacts bounds the characters of all facts, names included. Slack documents no bound of a message in blocks and refuses somewhere
	// above 9,600 characters: https://github.com/slackapi/bolt-js/issues/2867.
	maxFacts = 8000
	// maxSections is how many facts are shown; only an operator's own template makes more.
	maxSections = 40
)

// message is a notice in blocks. Facts are rich text, whose elements Slack shows as they are: no text that a stranger wrote
// is ever read as Slack's markup. Only the fallback is such a text, and is escaped.
func message(n notify.Notice) api.MsgOption {
	title := strings.ToUpper(string(n.Severity)) + ": " + n.Title
	return api.MsgOptionCompose(
		api.MsgOptionText(escape(channel.Cut(title, maxFallback)), false),
		api.MsgOptionBlocks(blocks(n, title)...),
		api.MsgOptionDisableMarkdown(), api.MsgOptionParse(false), api.MsgOptionLinkNames(false),
		api.MsgOptionDisableLinkUnfurl(), api.MsgOptionDisableMediaUnfurl(),
	)
}

// escaper replaces what begins Slack's markup, as Slack documents it:
// https://docs.slack.dev/messaging/formatting-message-text#escaping.
var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

func escape(text string) string { return escaper.Replace(text) }

func blocks(n notify.Notice, title string) []api.Block {
	header := api.NewTextBlockObject(api.PlainTextType, channel.Cut(title, maxHeader), false, false)
	header.Emoji = new(bool)
	at := api.NewTextBlockObject(api.PlainTextType,
		"stanch, incident "+n.Incident.ID.Short()+", "+n.At.UTC().Format("2006-01-02 15:04:05 UTC"), false, false)
	at.Emoji = new(bool)
	return []api.Block{
		api.NewHeaderBlock(header), api.NewRichTextBlock("", sections(n, title)...), api.NewContextBlock("", at),
	}
}

// sections are the facts, each under its name. A title that its header cuts comes first, whole.
func sections(n notify.Notice, title string) []api.RichTextElement {
	facts := n.Facts
	if channel.Cut(title, maxHeader) != title {
		facts = append([]notify.Fact{{Name: "In short", Text: n.Title}}, facts...)
	}
	var all []api.RichTextElement
	for _, fact := range channel.Fit(facts[:min(len(facts), maxSections)], maxFacts) {
		all = append(all, section(fact.Name, pieces(fact.Text)...))
	}
	if n.Link != "" {
		all = append(all, section("More", api.NewRichTextSectionLinkElement(n.Link, "", nil)))
	}
	return all
}

// section is a name and its content, with a line break at the end: Slack puts none between sections.
func section(name string, content ...api.RichTextSectionElement) api.RichTextElement {
	bold := &api.RichTextSectionTextStyle{Bold: true}
	elements := []api.RichTextSectionElement{api.NewRichTextSectionTextElement(name+"\n", bold)}
	elements = append(elements, content...)
	return api.NewRichTextSection(append(elements, api.NewRichTextSectionTextElement("\n", nil))...)
}

// pieces are a text with its commands set as code. None is empty, which Slack would refuse.
func pieces(text string) []api.RichTextSectionElement {
	var all []api.RichTextSectionElement
	for _, piece := range channel.Pieces(text) {
		var style *api.RichTextSectionTextStyle
		if piece.Code {
			style = &api.RichTextSectionTextStyle{Code: true}
		}
		all = append(all, api.NewRichTextSectionTextElement(piece.Text, style))
	}
	return all
}
